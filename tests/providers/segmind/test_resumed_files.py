"""A file is fetched from where an earlier try ended, and an end that comes too soon is no end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from finetune_portal.providers.errors import (
    CallError,
    ConnectionLostError,
    InvalidResponseError,
    StorageError,
)
from finetune_portal.providers.http.files import Files
from tests.provider import WEIGHTS, ScriptedProvider, half, raw, says

ETAG = '"e-1"'


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def files(provider: ScriptedProvider) -> Files:
    return Files(provider.url)


@pytest.fixture
def url(provider: ScriptedProvider) -> str:
    return f"{provider.url}/storage/a/weights.safetensors?Signature=s"


def read(files: Files, url: str, start: int = 0, etag: str = "") -> tuple[int, int | None, str, bytes]:
    with files.open(url, start, etag) as stream:
        return stream.start, stream.size, stream.etag, b"".join(stream.blocks)


def test_it_goes_on_in_the_same_file(files: Files, url: str) -> None:
    start, size, etag, whole = read(files, url)
    assert (start, size, whole) == (0, len(WEIGHTS), WEIGHTS)
    assert read(files, url, 5, etag) == (5, len(WEIGHTS), etag, WEIGHTS[5:])


@pytest.mark.parametrize("etag", ["", '"of another version"'])
def test_of_another_file_it_begins_anew(files: Files, url: str, etag: str) -> None:
    start, _, _, content = read(files, url, 5, etag)
    assert (start, content) == (0, WEIGHTS)


def test_a_weak_etag_does_not_prove_the_same_bytes(
    files: Files, url: str, provider: ScriptedProvider
) -> None:
    provider.script("fetch", says(200, WEIGHTS, ETag='W/"e"'))
    assert read(files, url)[2] == ""


def test_half_a_file_is_not_taken_for_the_whole(files: Files, url: str, provider: ScriptedProvider) -> None:
    provider.script("fetch", half())
    with pytest.raises(ConnectionLostError):
        read(files, url)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",  # only the end of the connection would say that it is whole
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Encoding: gzip\r\n\r\n",
        b'HTTP/1.1 206 Partial\r\nContent-Length: 3\r\nContent-Range: bytes 9-11/12\r\nETag: "e-1"\r\n\r\n',
        b'HTTP/1.1 206 Partial\r\nContent-Length: 3\r\nContent-Range: bytes 5-7/8\r\nETag: "e-2"\r\n\r\n',
    ],
)
def test_what_cannot_be_trusted_is_refused(
    files: Files, url: str, provider: ScriptedProvider, head: bytes
) -> None:
    provider.script("fetch", raw(head + b"abc"))
    with pytest.raises(InvalidResponseError):
        read(files, url, 5, ETAG)


def test_chunks_say_when_they_end(files: Files, url: str, provider: ScriptedProvider) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    provider.script("fetch", raw(head + b"3\r\nabc\r\n0\r\n\r\n"), raw(head + b"3\r\nabc\r\n9\r\nde"))
    assert read(files, url)[1:] == (None, "", b"abc")
    with pytest.raises(CallError):
        read(files, url)


def test_a_refusal_is_one_of_the_storage(files: Files, url: str, provider: ScriptedProvider) -> None:
    provider.script("fetch", says(403, b"<Error><Code>AccessDenied</Code></Error>"))
    with pytest.raises(StorageError) as caught:
        read(files, url)
    assert "Signature" not in f"{caught.value}{caught.value.detail}"
