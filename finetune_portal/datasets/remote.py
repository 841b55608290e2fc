"""A dataset ZIP at a public address, read by ranges: its directory and a few members, never all of it.

The vendor fetches `data_source_path` itself and needs HEAD and GET to answer, with a Content-Length
(docs/provider-api.md, 1 and 8.2). What would fail there is said here, before money is spent.
"""

from __future__ import annotations

import io

import requests
from urllib3.exceptions import HTTPError

from finetune_portal.web import outbound

PIECE, LARGEST_PIECE = 32 * 1024, 1024 * 1024
TIMEOUT = (5.0, 20.0)
MOST_READ = 64 * 1024 * 1024  # enough for the directory, the captions and the first pictures


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
        file.read(4)
        file.seek(0)
    except outbound.Forbidden as exc:
        raise RemoteTrouble(str(exc)) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
        raise RemoteTrouble(outbound.NOT_AN_ADDRESS) from None
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
    """A seekable file over ranged GETs: small pieces for scattered reads, larger ones for reads in a row."""

    def __init__(self, session: requests.Session, url: str, size: int) -> None:
        super().__init__()
        self._session, self._url, self.size = session, url, size
        self._at, self._asked = 0, 0
        self._start, self._data, self._ahead = 0, b"", PIECE

    def _piece(self) -> bytes:
        """Bytes from the present place on; asks for more of them where the last piece ended just here."""
        if self._start <= self._at < self._start + len(self._data):
            return self._data[self._at - self._start :]
        in_a_row = self._data and self._at == self._start + len(self._data)
        self._ahead = min(LARGEST_PIECE, self._ahead * 4) if in_a_row else PIECE
        self._start, self._data = self._at, self._fetch(self._at, min(self.size, self._at + self._ahead))
        return self._data

    def _fetch(self, start: int, end: int) -> bytes:
        self._asked += end - start
        if self._asked > MOST_READ:
            raise RemoteTrouble("The ZIP at this address is too scattered to look into from afar.")
        headers = {"Range": f"bytes={start}-{end - 1}"}
        try:
            with self._session.get(self._url, headers=headers, timeout=TIMEOUT, stream=True) as answer:
                _must_be_ok(answer, "GET")
                if answer.status_code == 200 and start:
                    raise RemoteTrouble("The server sends no parts of a file, so it cannot be looked into.")
                data = bytes(answer.raw.read(end - start))
        except (requests.RequestException, HTTPError):
            raise RemoteTrouble("The server of this address broke off. Try again.") from None
        if len(data) != end - start:
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
            part = self._piece()[: end - self._at]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)
