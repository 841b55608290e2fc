"""What a running portal sends with its answers, read without a browser."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha384

import requests

from tests.e2e.conftest import ROOT, Portal

SCRIPT = re.compile(r'<script src="([^"]+)" integrity="sha384-([^"]+)"')


def test_every_script_is_held_to_its_digest(portal: Portal) -> None:
    """H13, C4: and no template has one that is not."""
    bare = [path.name for path in (ROOT / "templates").rglob("*.html") if "<script" in path.read_text()]
    assert bare == []
    html = requests.get(f"{portal.url}/login/", timeout=20).text
    found = SCRIPT.findall(html)
    assert len(found) == html.count("<script") > 3
    for path, digest in found:
        content = requests.get(portal.url + path, timeout=20).content
        assert b64encode(sha384(content).digest()).decode() == digest


def test_the_raw_endpoints_are_as_closed_as_the_pages(portal: Portal) -> None:
    """H2: the live stream and the upload's PATCH do not pass Django's middleware."""
    page = requests.get(f"{portal.url}/healthz", timeout=20)
    stream = requests.get(f"{portal.url}/live/", timeout=20)
    piece = requests.patch(f"{portal.url}/uploads/no-such/", timeout=20)
    assert (stream.status_code, piece.status_code) == (401, 412)
    own = {"vary", "content-type", "content-length", "x-request-id", "date", "server", "connection"}
    for raw in (stream, piece):
        for name, value in page.headers.items():
            if name.lower() not in own:
                assert raw.headers.get(name) == value, name


def test_requests_are_not_logged_unless_asked_for(portal: Portal) -> None:
    requests.get(f"{portal.url}/login/?next=/seen/", timeout=20)
    assert "/seen/" not in portal.log_text()
