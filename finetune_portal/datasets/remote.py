"""Read a dataset ZIP at a public address by ranged requests: its directory and a few members, not the whole.

The provider fetches `data_source_path` itself: it sends HEAD, then GET, and needs a Content-Length
(docs/provider-api.md, 1 and 8.2). The portal reports what would fail there before money is spent.
"""

from __future__ import annotations

import io

from finetune_portal.web import outbound

CHUNK, MAX_CHUNK = 32 * 1024, 1024 * 1024
MAX_READ = 64 * 1024 * 1024  # enough for the directory, the captions and the first pictures


class RemoteFileError(Exception):
    """The file cannot be read. The text is shown to people."""


def open_remote(url: str, *, max_bytes: int) -> RemoteFile:
    """Send HEAD and a first ranged GET. Raises RemoteFileError."""
    session = outbound.Session()
    try:
        response = session.head(url)
    except outbound.OutboundError as exc:
        raise RemoteFileError(str(exc)) from None
    _check_status(response, "HEAD")
    length = response.headers.get("Content-Length", "")
    if not length.isdecimal() or int(length) == 0:
        raise RemoteFileError(
            "The server does not send the size of the file (Content-Length). The provider needs it."
        )
    if int(length) > max_bytes:
        raise RemoteFileError("The file at this address is over the limit for a dataset.")
    file = RemoteFile(session, response.url, int(length))
    file.read(4)
    file.seek(0)
    return file


def _check_status(response: outbound.Response, method: str) -> None:
    if response.status not in (200, 206):
        raise RemoteFileError(
            f"The address answers {method} with status {response.status}. It must be open to everyone."
        )


class RemoteFile(io.RawIOBase):
    """A seekable file over ranged GETs: small chunks for scattered reads, large ones for sequential reads."""

    def __init__(self, session: outbound.Session, url: str, size: int) -> None:
        super().__init__()
        self._session, self._url, self.size = session, url, size
        self._offset, self._requested = 0, 0
        self._start, self._data, self._read_ahead = 0, b"", CHUNK

    def _chunk(self) -> bytes:
        """The bytes from the present offset on. The next chunk grows while reads are sequential."""
        end = self._start + len(self._data)
        if self._start <= self._offset < end:
            return self._data[self._offset - self._start :]
        is_sequential = self._data and self._offset == end
        self._read_ahead = min(MAX_CHUNK, self._read_ahead * 4) if is_sequential else CHUNK
        self._start = self._offset
        self._data = self._fetch(self._offset, min(self.size, self._offset + self._read_ahead))
        return self._data

    def _fetch(self, start: int, end: int) -> bytes:
        self._requested += end - start
        if self._requested > MAX_READ:
            raise RemoteFileError("The ZIP at this address is too scattered to be checked from afar.")
        try:
            response = self._session.get_range(self._url, start, end)
        except outbound.OutboundError as exc:
            raise RemoteFileError(str(exc)) from None
        _check_status(response, "GET")
        if response.status == 200 and start:
            raise RemoteFileError("The server sends no parts of a file (Range), so it cannot be checked.")
        if len(response.content) != end - start:
            raise RemoteFileError("The server sent less of the file than it announced.")
        return response.content

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._offset

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("before the start of the file")
        self._offset = base + offset
        return self._offset

    def read(self, size: int = -1) -> bytes:
        end = self.size if size is None or size < 0 else min(self.size, self._offset + size)
        parts = []
        while self._offset < end:
            part = self._chunk()[: end - self._offset]
            parts.append(part)
            self._offset += len(part)
        return b"".join(parts)
