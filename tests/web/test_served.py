"""What the running web process sends, where middleware and URLconf alone do not decide it."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha384

import pytest
import requests

from tests.running import ROOT
from tests.web_server import WebServer

EVIL = "evil.example"
LIES = [
    {"Host": EVIL},
    {"Host": f"127.0.0.1:80@{EVIL}"},
    {"X-Forwarded-Host": EVIL, "Forwarded": f"host={EVIL}", "X-Original-URL": f"//{EVIL}/"},
    {"X-Forwarded-Prefix": f"//{EVIL}", "Script-Name": f"//{EVIL}", "Referer": f"https://{EVIL}/"},
]
SCRIPT = re.compile(r'<script src="([^"]+)" integrity="sha384-([^"]+)"')


def test_every_script_is_held_to_its_digest(web_server: WebServer) -> None:
    """H13, C4: and no template has one that is not."""
    bare = [path.name for path in (ROOT / "templates").rglob("*.html") if "<script" in path.read_text()]
    assert bare == []
    html = requests.get(f"{web_server.url}/login/", timeout=30).text
    scripts = SCRIPT.findall(html)
    assert len(scripts) == html.count("<script") > 3
    for path, digest in scripts:
        content = requests.get(web_server.url + path, timeout=30).content
        assert b64encode(sha384(content).digest()).decode() == digest


def test_the_raw_endpoints_are_as_closed_as_the_pages(web_server: WebServer) -> None:
    """H2: the live stream and the upload's PATCH do not pass Django's middleware."""
    page = requests.get(f"{web_server.url}/healthz", timeout=30)
    stream = requests.get(f"{web_server.url}/live/", timeout=30)
    piece = requests.patch(f"{web_server.url}/uploads/no-such/", timeout=30)
    assert (stream.status_code, piece.status_code) == (401, 412)
    own = {"vary", "content-type", "content-length", "x-request-id", "date", "server", "connection"}
    for raw in (stream, piece):
        for name, value in page.headers.items():
            if name.lower() not in own:
                assert raw.headers.get(name) == value, name


@pytest.mark.parametrize("headers", LIES, ids="+".join)
def test_no_address_of_ours_leads_where_a_header_says(web_server: WebServer, headers: dict[str, str]) -> None:
    """H7"""
    for path in ("/", "/login/", "/api/openapi.json", "/nowhere/", "/live/"):
        answer = requests.get(web_server.url + path, headers=headers, timeout=20, allow_redirects=False)
        assert EVIL not in answer.text + str(answer.headers), path
        assert answer.status_code in (200, 302, 400, 401, 404), path


def test_no_file_but_the_packed_ones_is_served(web_server: WebServer) -> None:
    """H16: plain and encoded ways out of the folder, as no client sends them by itself."""
    assert (web_server.data / "static").is_dir(), "its neighbour has the secrets"
    for up in ("..", "%2e%2e", "..%2f..", "%2e%2e%5c", "....//", "%252e%252e"):
        request = requests.Request("GET", web_server.url).prepare()
        request.url = f"{web_server.url}/static/{up}/secrets/secret-key"
        with requests.Session() as session:
            assert session.send(request, timeout=20).status_code in (400, 404), up


def test_requests_are_not_logged_unless_asked_for(web_server: WebServer) -> None:
    requests.get(f"{web_server.url}/login/?next=/seen/", timeout=30)
    assert "/seen/" not in web_server.log.read_text()
