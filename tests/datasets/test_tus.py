"""tus 1.0 against the running web process: offsets, breaks, checksums, strangers, and another client."""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.sample import make
from finetune_portal.worker import tasks
from tests.cookies import csrf_cookie, session_cookie
from tests.datasets.tus import CHUNK_HEADERS, TUS, begin, send
from tests.people import person
from tests.waiting import until
from tests.web_server import WebServer, session_of

CSRF_TOKEN = "c" * 32


@pytest.fixture
def maker(web: WebServer) -> Iterator[requests.Session]:
    """Someone who is signed in, without a browser."""
    with requests.Session() as session:
        session.cookies[session_cookie(web.url)] = session_of(person("alice", "maker"))
        session.cookies[csrf_cookie(web.url)] = CSRF_TOKEN
        session.headers.update({"X-CSRFToken": CSRF_TOKEN, "Referer": web.url})
        yield session


def key_of(url: str) -> str:
    return url.rstrip("/").rsplit("/", 1)[-1]


def half_sent(
    web: WebServer, maker: requests.Session, url: str, *, announced: int, data: bytes
) -> socket.socket:
    """A connection that announced more than it sends, and is still open."""
    headers = {**CHUNK_HEADERS, "Upload-Offset": "0", "Content-Length": str(announced)}
    headers["Cookie"] = "; ".join(f"{cookie.name}={cookie.value}" for cookie in maker.cookies)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"PATCH {url.removeprefix(web.url)} HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n{lines}\r\n"
    connection = socket.create_connection(("127.0.0.1", web.port))
    connection.sendall(request.encode() + data)
    return connection


def stored_bytes(web: WebServer, url: str) -> int:
    """How far the file is written. A look does not take the upload from who sends it, as a call would."""
    return len((web.data / "datasets" / f"{key_of(url)}.zip").read_bytes().rstrip(b"\0"))


def unkept(url: str, maker: requests.Session) -> int:
    """What the portal answers to a chunk that it would not keep."""
    wrong = base64.b64encode(bytes(20)).decode()
    return send(url, maker, 0, b"b", **{"Upload-Checksum": f"sha1 {wrong}"}).status_code


def test_a_file_in_chunks_becomes_a_checked_dataset(web: WebServer, maker: requests.Session) -> None:
    data = make()
    created = begin(web.url, maker, len(data))
    assert created.status_code == 201
    url = web.url + created.headers["Location"]

    half = len(data) // 2
    assert send(url, maker, 0, data[:half]).headers["Upload-Offset"] == str(half)
    assert maker.head(url, headers=TUS, timeout=30).headers["Upload-Offset"] == str(half)
    assert send(url, maker, 0, data[:half]).status_code == 409, "a chunk is not taken twice"
    assert send(url, maker, half, data[half:]).status_code == 204

    assert tasks.check_dataset(), "the worker finds it"
    dataset = Dataset.objects.get(pk=created.headers["Dataset-Id"])
    assert (dataset.state, dataset.pair_count) == ("ready", 6)
    stored = web.data / "datasets" / f"{key_of(url)}.zip"
    assert hashlib.sha256(stored.read_bytes()).digest() == hashlib.sha256(data).digest()


def test_uploads_that_begin_at_once_count_each_other(web: WebServer, maker: requests.Session) -> None:
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: begin(web.url, maker, 10).status_code, range(14)))
    assert sorted(statuses) == [201] * 10 + [429] * 4


def test_a_damaged_chunk_is_sent_again(web: WebServer, maker: requests.Session) -> None:
    url = web.url + begin(web.url, maker, 4).headers["Location"]
    good = base64.b64encode(hashlib.sha1(b"PK12").digest()).decode()
    assert send(url, maker, 0, b"PK1X", **{"Upload-Checksum": f"sha1 {good}"}).status_code == 460
    assert maker.head(url, headers=TUS, timeout=30).headers["Upload-Offset"] == "0"
    assert send(url, maker, 0, b"PK12", **{"Upload-Checksum": f"sha1 {good}"}).status_code == 204


def test_more_than_announced_is_refused_and_nothing_written(web: WebServer, maker: requests.Session) -> None:
    """U7"""
    url = web.url + begin(web.url, maker, 4).headers["Location"]
    for how, body in {"by its length": b"PK123", "in chunks": iter([b"PK1", b"23"])}.items():
        assert send(url, maker, 0, body).status_code == 413, how
        assert stored_bytes(web, url) == 0
    assert maker.head(url, headers=TUS, timeout=30).headers["Upload-Offset"] == "0"


@pytest.mark.parametrize("offset", ["", "-1", "1.5", "9" * 5000, "²"])
def test_an_offset_that_is_no_number_is_refused(web: WebServer, maker: requests.Session, offset: str) -> None:
    url = web.url + begin(web.url, maker, 4).headers["Location"]
    headers = {**CHUNK_HEADERS, "Upload-Offset": offset.encode()}
    assert maker.patch(url, data=b"PK12", headers=headers, timeout=30).status_code == 400


def test_where_only_post_passes_it_may_stand_for_patch_and_delete(
    web: WebServer, maker: requests.Session
) -> None:
    url = web.url + begin(web.url, maker, 4).headers["Location"]
    patch = {**CHUNK_HEADERS, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert maker.post(url, data=b"PK", headers=patch, timeout=30).headers["Upload-Offset"] == "2"
    assert maker.head(url, headers=TUS, timeout=30).headers["Upload-Offset"] == "2"
    delete = {**TUS, "X-HTTP-Method-Override": "DELETE"}
    assert maker.post(url, headers=delete, timeout=30).status_code == 204
    assert maker.head(url, headers=TUS, timeout=30).status_code == 404


def test_a_connection_that_fell_silent_gives_way_to_the_next(web: WebServer, maker: requests.Session) -> None:
    """U4"""
    url = web.url + begin(web.url, maker, 2_000_000).headers["Location"]
    with half_sent(web, maker, url, announced=1_500_000, data=b"a" * 1_100_000):
        until(lambda: stored_bytes(web, url) > 0, why="its first block is written")
        assert unkept(url, maker) == 423, "the first holds the upload"
        until(lambda: unkept(url, maker) == 409, why="the first gave way")
        assert maker.head(url, headers=TUS, timeout=30).headers["Upload-Offset"] == "1100000", (
            "nothing is lost"
        )
        assert send(url, maker, 1_100_000, b"b").status_code == 204


def test_a_closed_connection_keeps_what_it_brought(web: WebServer, maker: requests.Session) -> None:
    url = web.url + begin(web.url, maker, 2_000_000).headers["Location"]
    with half_sent(web, maker, url, announced=1_500_000, data=b"a" * 1_100_000):
        until(lambda: stored_bytes(web, url) > 0, why="its first block is written")
    offset = lambda: maker.head(url, headers=TUS, timeout=30).headers["Upload-Offset"]  # noqa: E731
    until(lambda: offset() == "1100000", why="what came before the cut is there")


@pytest.mark.parametrize(
    ("name", "size", "sentence"),
    [
        ("cat.png", 10, "is not a ZIP"),
        ("a.zip", 0, "The file is empty"),
        ("a.zip", 6_000_000_000, "is the limit"),
    ],
)
def test_what_cannot_be_a_dataset_is_refused_in_words(
    web: WebServer, maker: requests.Session, name: str, size: int, sentence: str
) -> None:
    refused = begin(web.url, maker, size, name)
    assert refused.status_code == (413 if size > 5_000_000_000 else 422)
    assert sentence in refused.text


def test_strangers_and_other_sites_send_nothing(web: WebServer, maker: requests.Session) -> None:
    url = web.url + begin(web.url, maker, 4).headers["Location"]
    headers = {**CHUNK_HEADERS, "Upload-Offset": "0"}
    assert requests.patch(url, data=b"PK12", headers=headers, timeout=30).status_code == 401
    assert send(url, maker, 0, b"PK12", Origin="https://elsewhere.example").status_code == 403


def test_an_ended_upload_is_forgotten(web: WebServer, maker: requests.Session) -> None:
    url = web.url + begin(web.url, maker, 4).headers["Location"]
    assert maker.delete(url, headers=TUS, timeout=30).status_code == 204
    assert maker.head(url, headers=TUS, timeout=30).status_code == 404


def test_another_projects_client_breaks_off_and_goes_on(
    web: WebServer, maker: requests.Session, tmp_path: Path
) -> None:
    """tuspy: what the portal speaks is the real protocol."""
    path = tmp_path / "tuspy.zip"
    path.write_bytes(make())
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in maker.cookies)
    client = TusClient(f"{web.url}/uploads/", headers={**dict(maker.headers), "Cookie": cookies})
    with path.open("rb") as file:
        first = client.uploader(file_stream=file, chunk_size=10_000, metadata={"filename": path.name})
        first.upload_chunk()
        assert first.offset == 10_000

        again = client.uploader(file_stream=file, chunk_size=10_000, url=first.url)
        assert again.offset == 10_000, "the portal tells where it stands"
        again.upload()
    assert again.offset == path.stat().st_size

    stored = web.data / "datasets" / f"{key_of(str(again.url))}.zip"
    assert hashlib.sha256(stored.read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest()
    assert tasks.check_dataset(), "the worker finds it"
    dataset = Dataset.objects.get()
    assert (dataset.name, dataset.state, dataset.pair_count) == ("tuspy", "ready", 6)


def test_another_projects_client_is_refused_without_a_session(web: WebServer, tmp_path: Path) -> None:
    path = tmp_path / "stranger.zip"
    path.write_bytes(make())
    with path.open("rb") as file, pytest.raises(TusCommunicationError):
        TusClient(f"{web.url}/uploads/").uploader(file_stream=file, chunk_size=10_000).upload()
