"""Send and fetch files at the addresses that answers name, without a key.

An address must be https, or plain http to the provider's own host. No signed URL reaches the text of an
exception. Refusals are StorageErrors.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO

import requests

from finetune_portal.providers import errors
from finetune_portal.providers.http import exchange, url_checks
from finetune_portal.providers.http.exchange import READ
from finetune_portal.providers.http.json_body import invalid
from finetune_portal.providers.http.session import BLOCK, Dial, Session
from finetune_portal.providers.http.storage_errors import storage_error
from finetune_portal.providers.http.values import text

NOT_WHOLE = "The connection to the provider broke before the file was whole."
UPLOAD_READ = 300.0
LEAST_SPEED = 32 * 1024  # bytes a second of a file that is read whole, on the average
MOST_BYTES = 64 * 1024**3
MD5 = re.compile(r"^[0-9a-fA-F]{32}$")
OTHERS = re.compile(r"[^A-Za-z0-9._-]+")
CUSTOMER_KEY = "x-amz-server-side-encryption-customer-algorithm"


@dataclass(frozen=True)
class StoredObject:
    """An uploaded object. `md5` is empty where its ETag is none (docs/provider-api.md, 14)."""

    etag: str
    md5: str

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> StoredObject:
        """Read the ETag. That of an object encrypted with a KMS or customer key only looks like an MD5."""
        etag = text(headers.get("ETag")).removeprefix("W/").strip('"')
        encryption = text(headers.get("x-amz-server-side-encryption")).lower()
        has_own_key = encryption.startswith("aws:kms") or bool(headers.get(CUSTOMER_KEY))
        return cls(etag, "" if has_own_key or not MD5.match(etag) else etag.lower())


@dataclass(frozen=True)
class FileSlice:
    """A part of a file of `total` bytes. `etag` and `modified` are the headers of the whole file."""

    content: bytes
    total: int
    etag: str
    modified: str


@dataclass(frozen=True)
class FileStream:
    """The bytes of a file from `start` on. `size` is that of the whole file, None where no header names it.

    `etag` is empty where the storage names none by which a later request can go on (RFC 9110, 13.1.5).
    """

    start: int
    size: int | None
    etag: str
    blocks: Iterator[bytes]


class Files:
    """The files of one provider. Do not share it between threads.

    `dial` connects to the hosts of files and may refuse one; it is not asked about that of `base_url`.
    """

    def __init__(self, base_url: str, dial: Dial | None = None, max_seconds: float = math.inf) -> None:
        self._base_url, self._max_seconds = base_url, max_seconds
        self._new_session = partial(Session, base_url, dial)
        self._session = self._new_session()

    def close(self) -> None:
        self._session.close()

    def check_secure(self, url: str) -> None:
        """Raise InvalidResponseError for a URL of an answer to which no file may be sent."""
        url_checks.check_secure(url, self._base_url)

    def put(self, url: str, body: IO[bytes], headers: Mapping[str, str]) -> StoredObject:
        """PUT a file to a signed URL, without the key."""
        self.check_secure(url)
        request = requests.Request("PUT", url, data=body, headers=dict(headers))
        with exchange.send(self._session, request, min(UPLOAD_READ, self._max_seconds)) as response:
            content = exchange.body_if_readable(response, time.monotonic() + min(READ, self._max_seconds))
        if response.status_code not in (200, 201, 204):
            raise storage_error(response.status_code, content, sending=True)
        return StoredObject.from_headers(response.headers)

    def check(self, url: str) -> None:
        """Ask for the first byte of a file behind a signed URL. Raises StorageError if it is not there."""
        self.check_secure(url)
        seconds = min(READ, self._max_seconds)
        request = requests.Request("GET", url, headers={"Range": "bytes=0-0"})
        with exchange.send(self._new_session(), request, seconds) as response:
            if response.status_code not in (200, 206, 416):
                content = exchange.body_if_readable(response, time.monotonic() + seconds)
                raise storage_error(response.status_code, content, sending=False)

    def get(self, url: str) -> Iterator[bytes]:
        """GET a file from a signed URL, without the key, block by block. Raises what `_blocks` does."""
        self.check_secure(url)
        with exchange.send(self._session, requests.Request("GET", url), READ) as response:
            if response.status_code != 200:
                content = exchange.body_if_readable(response, time.monotonic() + READ)
                raise storage_error(response.status_code, content, sending=False)
            yield from _blocks(response)

    @contextmanager
    def open(self, url: str, start: int = 0, etag: str = "") -> Iterator[FileStream]:
        """GET a file from `start` on, if it is still the one with this ETag; otherwise from its beginning.

        Reading the blocks raises a ConnectionLostError, too, where fewer bytes come than were announced.
        """
        self.check_secure(url)
        headers = {"Range": f"bytes={start}-", "If-Range": etag} if start and etag else {}
        with exchange.send(self._session, requests.Request("GET", url, headers=headers), READ) as response:
            if response.status_code not in (200, 206):
                content = exchange.body_if_readable(response, time.monotonic() + READ)
                raise storage_error(response.status_code, content, sending=False)
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise errors.InvalidResponseError(invalid("a compressed file"))
            its_etag = response.headers.get("ETag", "")
            if response.status_code == 206:
                if its_etag not in ("", etag):
                    raise errors.InvalidResponseError(invalid("another version of the file"))
                size: int | None = _total_of(response, start)
            else:
                start, size = 0, _announced_size(response)
            left = None if size is None else size - start
            strong = "" if its_etag.startswith("W/") else its_etag
            yield FileStream(start, size, strong or (etag if start else ""), _blocks(response, left))

    def get_slice(self, url: str, start: int, end: int) -> FileSlice:
        """GET the bytes from `start` to before `end` of a file behind a signed URL, or those that it has."""
        self.check_secure(url)
        deadline = time.monotonic() + READ
        request = requests.Request("GET", url, headers={"Range": f"bytes={start}-{end - 1}"})
        with exchange.send(self._session, request, READ) as response:
            if response.status_code not in (200, 206):
                raise storage_error(
                    response.status_code, exchange.body_if_readable(response, deadline), sending=False
                )
            content = exchange.read(response, end - start, deadline)
        total = _total_of(response, start)
        if len(content) != min(end, total) - start:
            raise errors.InvalidResponseError(invalid("another part of the file"))
        etag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        return FileSlice(content, total, etag, modified)

    def get_whole(self, url: str, cap: int) -> bytes:
        """GET the file that an answer names, without the key, in one piece."""
        self.check_secure(url)
        seconds = min(READ, self._max_seconds)
        deadline = time.monotonic() + seconds
        with exchange.send(self._session, requests.Request("GET", url), seconds) as response:
            if response.status_code != 200:
                content = exchange.body_if_readable(response, deadline)
                raise storage_error(response.status_code, content, sending=False)
            return exchange.read(response, cap, deadline)


def _announced_size(response: requests.Response) -> int | None:
    """Return the size of a whole file; None where only the end of the answer says that it is whole."""
    length = response.headers.get("Content-Length", "")
    if length.isdecimal():
        return int(length)
    if "Transfer-Encoding" in response.headers:
        return None
    raise errors.InvalidResponseError(invalid("a file without its size"))


def _blocks(response: requests.Response, left: int | None = None) -> Iterator[bytes]:
    """Yield the body as it comes, of which `left` bytes are to come where that is known.

    Raises ConnectionLostError where it comes more slowly than LEAST_SPEED, and InvalidResponseError for more
    than MOST_BYTES: others wait for the end.
    """
    began, count = time.monotonic(), 0
    while True:
        try:
            block = response.raw.read1(BLOCK, decode_content=False)
        except exchange.FAULTS as exc:
            raise errors.ConnectionLostError(NOT_WHOLE, detail=type(exc).__name__) from None
        if not block:
            break
        count += len(block)
        if time.monotonic() - began > READ + count / LEAST_SPEED:
            raise errors.ConnectionLostError("The provider sends the file too slowly.")
        if count > MOST_BYTES:
            raise errors.InvalidResponseError(invalid("a file that does not end"))
        yield block
    if left is not None and count < left:
        raise errors.ConnectionLostError(NOT_WHOLE)


def plain_name(name: str) -> str:
    """A file's name as any storage takes it, in a header and in an address."""
    return OTHERS.sub("-", name)[-100:] or "file"


def _total_of(response: requests.Response, start: int) -> int:
    """Return the size of the whole file, of which an answer has the part from `start` on."""
    header = response.headers.get("Content-Range", "") if response.status_code == 206 else ""
    if match := re.fullmatch(rf"bytes {start}-[0-9]+/([0-9]+)", header):
        return int(match[1])
    length = response.headers.get("Content-Length", "")
    if response.status_code == 200 and start == 0 and length.isdecimal():  # the file is smaller than the part
        return int(length)
    raise errors.InvalidResponseError(invalid("another part of the file"))
