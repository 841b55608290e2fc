"""tus 1.0 against the running product: offsets, breaks, checksums, strangers, and a killed server."""

from __future__ import annotations

import base64
import hashlib
import socket

import pytest
import requests

from finetune_portal.datasets.sample import make
from tests.e2e.conftest import Portal, wait_for
from tests.e2e.tus import PIECE, TUS, begin, send


def key_of(url: str) -> str:
    return url.rstrip("/").rsplit("/", 1)[-1]


def half_sent(
    portal: Portal, ada: requests.Session, url: str, *, announced: int, data: bytes
) -> socket.socket:
    """A connection that announced more than it sends, and is still open."""
    headers = {**PIECE, "Upload-Offset": "0", "Content-Length": str(announced)}
    headers["Cookie"] = "; ".join(f"{cookie.name}={cookie.value}" for cookie in ada.cookies)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"PATCH {url.removeprefix(portal.url)} HTTP/1.1\r\nHost: 127.0.0.1:{portal.port}\r\n{lines}\r\n"
    connection = socket.create_connection(("127.0.0.1", portal.port))
    connection.sendall(request.encode() + data)
    return connection


def stored_bytes(portal: Portal, url: str) -> int:
    """What stands in the file. A look at it does not take the upload from who sends it, as a call would."""
    return (portal.data / "datasets" / f"{key_of(url)}.zip").stat().st_size


def unkept(url: str, ada: requests.Session) -> int:
    """What the portal answers to a piece that it would not keep."""
    wrong = base64.b64encode(bytes(20)).decode()
    return send(url, ada, 0, b"b", **{"Upload-Checksum": f"sha1 {wrong}"}).status_code


def test_a_file_in_pieces_becomes_a_checked_dataset(portal: Portal, ada: requests.Session) -> None:
    data = make()
    created = begin(portal, ada, len(data))
    assert created.status_code == 201
    url = portal.url + created.headers["Location"]

    half = len(data) // 2
    assert send(url, ada, 0, data[:half]).headers["Upload-Offset"] == str(half)
    assert ada.head(url, headers=TUS, timeout=10).headers["Upload-Offset"] == str(half)
    assert send(url, ada, 0, data[:half]).status_code == 409, "a piece is not taken twice"
    assert send(url, ada, half, data[half:]).status_code == 204

    page = f"{portal.url}/datasets/{created.headers['Dataset-Id']}/"
    wait_for(lambda: "Ready to train" in ada.get(page, timeout=10).text, why="checked and carried")
    stored = portal.data / "datasets" / f"{key_of(url)}.zip"
    assert hashlib.sha256(stored.read_bytes()).digest() == hashlib.sha256(data).digest()


def test_a_damaged_piece_is_sent_again(portal: Portal, ada: requests.Session) -> None:
    url = portal.url + begin(portal, ada, 4).headers["Location"]
    good = base64.b64encode(hashlib.sha1(b"PK12").digest()).decode()
    assert send(url, ada, 0, b"PK1X", **{"Upload-Checksum": f"sha1 {good}"}).status_code == 460
    assert ada.head(url, headers=TUS, timeout=10).headers["Upload-Offset"] == "0"
    assert send(url, ada, 0, b"PK12", **{"Upload-Checksum": f"sha1 {good}"}).status_code == 204


def test_more_than_announced_is_refused_and_nothing_written(portal: Portal, ada: requests.Session) -> None:
    """U7"""
    url = portal.url + begin(portal, ada, 4).headers["Location"]
    for told, body in {"by its length": b"PK123", "in chunks": iter([b"PK1", b"23"])}.items():
        assert send(url, ada, 0, body).status_code == 413, told
        assert stored_bytes(portal, url) == 0
    assert ada.head(url, headers=TUS, timeout=10).headers["Upload-Offset"] == "0"


@pytest.mark.parametrize("offset", ["", "-1", "1.5", "9" * 5000, "²"])
def test_an_offset_that_is_no_number_is_refused(portal: Portal, ada: requests.Session, offset: str) -> None:
    url = portal.url + begin(portal, ada, 4).headers["Location"]
    headers = {**PIECE, "Upload-Offset": offset.encode()}
    assert ada.patch(url, data=b"PK12", headers=headers, timeout=10).status_code == 400


def test_where_only_post_passes_it_may_stand_for_patch_and_delete(
    portal: Portal, ada: requests.Session
) -> None:
    url = portal.url + begin(portal, ada, 4).headers["Location"]
    patch = {**PIECE, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert ada.post(url, data=b"PK", headers=patch, timeout=10).headers["Upload-Offset"] == "2"
    assert ada.head(url, headers=TUS, timeout=10).headers["Upload-Offset"] == "2"
    delete = {**TUS, "X-HTTP-Method-Override": "DELETE"}
    assert ada.post(url, headers=delete, timeout=10).status_code == 204
    assert ada.head(url, headers=TUS, timeout=10).status_code == 404


def test_a_connection_that_fell_silent_gives_way_to_the_next(portal: Portal, ada: requests.Session) -> None:
    """U4"""
    url = portal.url + begin(portal, ada, 2_000_000).headers["Location"]
    with half_sent(portal, ada, url, announced=1_500_000, data=b"a" * 1_100_000):
        wait_for(lambda: stored_bytes(portal, url) > 0, why="its first block is written")
        assert unkept(url, ada) == 423, "the first holds the upload"
        wait_for(lambda: unkept(url, ada) == 409, why="the first gave way")
        assert ada.head(url, headers=TUS, timeout=10).headers["Upload-Offset"] == "1100000", "nothing is lost"
        assert send(url, ada, 1_100_000, b"b").status_code == 204


def test_a_closed_connection_keeps_what_it_brought(portal: Portal, ada: requests.Session) -> None:
    url = portal.url + begin(portal, ada, 2_000_000).headers["Location"]
    with half_sent(portal, ada, url, announced=1_500_000, data=b"a" * 1_100_000):
        wait_for(lambda: stored_bytes(portal, url) > 0, why="its first block is written")
    offset = lambda: ada.head(url, headers=TUS, timeout=10).headers["Upload-Offset"]  # noqa: E731
    wait_for(lambda: offset() == "1100000", why="what came before the cut is there")


@pytest.mark.parametrize(
    ("name", "size", "sentence"),
    [
        ("cat.png", 10, "is not a ZIP"),
        ("a.zip", 0, "The file is empty"),
        ("a.zip", 6_000_000_000, "is the limit"),
    ],
)
def test_what_cannot_be_a_dataset_is_refused_in_words(
    portal: Portal, ada: requests.Session, name: str, size: int, sentence: str
) -> None:
    refused = begin(portal, ada, size, name)
    assert refused.status_code == (413 if size > 5_000_000_000 else 422)
    assert sentence in refused.text


def test_strangers_and_other_sites_send_nothing(portal: Portal, ada: requests.Session) -> None:
    url = portal.url + begin(portal, ada, 4).headers["Location"]
    headers = {**PIECE, "Upload-Offset": "0"}
    assert requests.patch(url, data=b"PK12", headers=headers, timeout=10).status_code == 401
    assert send(url, ada, 0, b"PK12", Origin="https://elsewhere.example").status_code == 403


def test_an_ended_upload_is_forgotten(portal: Portal, ada: requests.Session) -> None:
    url = portal.url + begin(portal, ada, 4).headers["Location"]
    assert ada.delete(url, headers=TUS, timeout=10).status_code == 204
    assert ada.head(url, headers=TUS, timeout=10).status_code == 404
