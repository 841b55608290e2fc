"""A dataset ZIP at a public address, read by ranges: its directory and a few members, never all of it.

The vendor fetches `data_source_path` itself and needs HEAD and GET to answer, with a Content-Length
(API page, section 1; segmind-facts, section 1.2). What would fail there is said here, before money is spent.
"""

from __future__ import annotations

import io
from functools import lru_cache

import requests
from urllib3.exceptions import HTTPError

from finetune_portal.web import outbound

BLOCK = 256 * 1024
TIMEOUT = (5.0, 20.0)
MOST_READ = 256  # blocks: 64 MiB are enough for the directory and the captions of 20,000 members


class RemoteTrouble(Exception):
    """The address cannot be used; the text says why, for people."""


def look(url: str, *, most_bytes: int) -> RemoteFile:
    """Ask by HEAD and by a ranged GET. Raises RemoteTrouble."""
    try:
        outbound.check_form(url)
        session = outbound.session()
        with session.head(url, timeout=TIMEOUT, allow_redirects=True) as answer:
            _must_be_ok(answer, "HEAD")
            length = answer.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) == 0:
                raise RemoteTrouble(
                    "The server does not say how big the file is (no Content-Length). The trainer needs it."
                )
            if int(length) > most_bytes:
                raise RemoteTrouble("The file at this address is over the limit for a dataset.")
            file = RemoteFile(session, answer.url, int(length))
        file.block(0)
    except outbound.Forbidden as exc:
        raise RemoteTrouble(str(exc)) from None
    except requests.TooManyRedirects:
        raise RemoteTrouble("The address redirects too often. Use the final one.") from None
    except requests.RequestException:
        raise RemoteTrouble("The server of this address does not answer as it should.") from None
    return file


def _must_be_ok(answer: requests.Response, method: str) -> None:
    if answer.status_code not in (200, 206):
        raise RemoteTrouble(
            f"The address answers {method} with status {answer.status_code}. It must be open to everyone."
        )


class RemoteFile(io.RawIOBase):
    """A seekable file over ranged GETs, in blocks of 256 KiB, with an end to how much is read."""

    def __init__(self, session: requests.Session, url: str, size: int) -> None:
        super().__init__()
        self._session, self._url, self.size = session, url, size
        self._at, self._asked = 0, 0
        self.block = lru_cache(maxsize=16)(self._fetch)

    def _fetch(self, number: int) -> bytes:
        self._asked += 1
        if self._asked > MOST_READ:
            raise RemoteTrouble("The ZIP at this address is too scattered to look into from afar.")
        first, last = number * BLOCK, min(self.size, (number + 1) * BLOCK) - 1
        headers = {"Range": f"bytes={first}-{last}"}
        try:
            with self._session.get(self._url, headers=headers, timeout=TIMEOUT, stream=True) as answer:
                _must_be_ok(answer, "GET")
                if answer.status_code == 200 and first:
                    raise RemoteTrouble("The server sends no parts of a file, so it cannot be looked into.")
                data = bytes(answer.raw.read(last - first + 1))
        except (requests.RequestException, HTTPError):
            raise RemoteTrouble("The server of this address broke off. Try again.") from None
        if len(data) != last - first + 1:
            raise RemoteTrouble("The server sent less of the file than it announced.")
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("before the start of the file")
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self.size if size is None or size < 0 else min(self.size, self._at + size)
        parts = []
        while self._at < end:
            number, skip = divmod(self._at, BLOCK)
            part = self.block(number)[skip : skip + end - self._at]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)
