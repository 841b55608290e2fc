"""Another project's tus client uploads to the portal: what we speak is the real protocol."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from finetune_portal.datasets.sample import make
from tests.e2e.conftest import EMAIL, PASSWORD, Portal, wait_for


@pytest.fixture
def session(portal: Portal) -> dict[str, str]:
    """The headers of someone who is signed in."""
    with requests.Session() as browser:
        form = browser.get(f"{portal.url}/login/", timeout=10).text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        assert token
        data = {"username": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        browser.post(f"{portal.url}/login/", data=data, timeout=10).raise_for_status()
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies)
        return {"Cookie": cookies, "X-CSRFToken": browser.cookies["csrftoken"], "Referer": portal.url}


def test_tuspy_breaks_off_and_goes_on(portal: Portal, session: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "tuspy.zip"
    path.write_bytes(make())
    client = TusClient(f"{portal.url}/uploads/", headers=session)
    with path.open("rb") as file:
        first = client.uploader(file_stream=file, chunk_size=10_000, metadata={"filename": path.name})
        first.upload_chunk()
        assert first.offset == 10_000

        again = client.uploader(file_stream=file, chunk_size=10_000, url=first.url)
        assert again.offset == 10_000, "the portal tells where it stands"
        again.upload()
    assert again.offset == path.stat().st_size

    stored = portal.data / "datasets" / f"{again.url.rstrip('/').rsplit('/', 1)[-1]}.zip"
    assert hashlib.sha256(stored.read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest()
    library = f"{portal.url}/datasets/?q=tuspy"
    wait_for(lambda: "6 pairs" in requests.get(library, headers=session, timeout=10).text, why="checked")


def test_tuspy_is_refused_without_a_session(portal: Portal, tmp_path: Path) -> None:
    path = tmp_path / "stranger.zip"
    path.write_bytes(make())
    with path.open("rb") as file, pytest.raises(TusCommunicationError):
        TusClient(f"{portal.url}/uploads/").uploader(file_stream=file, chunk_size=10_000).upload()
