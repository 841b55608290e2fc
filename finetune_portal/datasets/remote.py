"""Read a dataset ZIP at a public address: by ranged requests, or from its start where the server has none.

The provider fetches `data_source_path` itself: it sends HEAD, then GET, and needs a Content-Length
(docs/provider-api.md, 1 and 8.2). The portal reports what would fail there before money is spent.
"""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

from finetune_portal.web import outbound

WEB_PAGE = "This address leads to a web page, not to the file. "
DOWNLOAD_LINKS = {
    "dropbox.com": "End the link with dl=1 instead of dl=0.",
    "google.com": "Share it with everyone who has the link, and use the address that “Download” opens.",
    "googleusercontent.com": "Use the address that the button “Download anyway” of Google Drive opens.",
    "1drv.ms": "Use the address that the download button of OneDrive opens.",
    "sharepoint.com": "Add download=1 to the link.",
    "github.com": "Use the address of the button “Raw”.",
    "huggingface.co": "Write /resolve/ in place of /blob/ in the link.",
}
ANY_LINK = (
    "Use the link that downloads it (Dropbox: dl=1 at its end; Google Drive: the address that its download "
    "button opens)."
)
NO_PARTS = "The server sends no parts of a file (Range)."


class RemoteFileError(Exception):
    """The file cannot be read. The text is shown to people."""


class BrokenOffError(RemoteFileError):
    """The one answer of a server that sends no parts of a file (Range) ended early, or is gone."""


class RemoteFile:
    """A file of a known size, read by ranged GETs.

    A server without ranges sends the whole file in its answer to the first one. Then that answer is read on
    (`is_stream`), which must be read in order and be closed.
    """

    def __init__(self, session: outbound.Session, url: str, size: int) -> None:
        self._session, self._url, self.size = session, url, size
        self._stream: outbound.Stream | None = None
        self.position, self._hash = 0, hashlib.sha256()  # of the stream

    @property
    def is_stream(self) -> bool:
        return self._stream is not None

    def read_at(self, start: int, count: int) -> bytes:
        """Up to `count` bytes from `start` on. Raises RemoteFileError."""
        count = min(self.size - start, count)
        try:
            content = self._read_on(start, count) if self._stream else self._read_part(start, count)
        except outbound.OutboundError as exc:
            raise (BrokenOffError if self._stream else RemoteFileError)(str(exc)) from None
        if start == 0 and _is_markup(content):
            raise RemoteFileError(_advice(self._url))
        if len(content) != count:
            error = BrokenOffError if self._stream else RemoteFileError
            raise error("The server sent less of the file than it announced.")
        return content

    @property
    def sha256(self) -> str:
        """Of a stream that was read to its end; empty for what was read in parts."""
        return self._hash.hexdigest() if self.position == self.size else ""

    def close(self) -> None:
        if self._stream:
            self._stream.close()

    def _read_part(self, start: int, count: int) -> bytes:
        response = self._session.open_range(self._url, start, start + count)
        try:
            _check_status(response, "GET")
            is_whole = response.status == 200
            if is_whole and start:
                raise BrokenOffError(NO_PARTS)
            if is_whole and count < self.size:
                self._stream = response
                return self._read_on(start, count)
            return response.read(count)
        finally:
            if not self._stream:
                response.close()

    def _read_on(self, start: int, count: int) -> bytes:
        if self._stream is None or start != self.position:
            raise BrokenOffError(NO_PARTS)
        content = self._stream.read(count)
        self.position += len(content)
        self._hash.update(content)
        return content


def open_remote(url: str, *, max_bytes: int) -> RemoteFile:
    """Send HEAD. Raises RemoteFileError."""
    session = outbound.Session()
    try:
        response = session.head(url)
    except outbound.OutboundError as exc:
        raise RemoteFileError(str(exc)) from None
    _check_status(response, "HEAD")
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise RemoteFileError(_advice(response.url))
    length = response.headers.get("Content-Length", "")
    if not length.isdecimal() or int(length) == 0:
        raise RemoteFileError(
            "The server does not send the size of the file (Content-Length). The provider needs it."
        )
    if int(length) > max_bytes:
        raise RemoteFileError("The file at this address is over the limit for a dataset.")
    return RemoteFile(session, response.url, int(length))


def _check_status(response: outbound.Response | outbound.Stream, method: str) -> None:
    if response.status not in (200, 206):
        raise RemoteFileError(
            f"The address answers {method} with status {response.status}. It must be open to everyone."
        )


def _is_markup(content: bytes) -> bool:
    return content[:512].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _advice(url: str) -> str:
    host = urlsplit(url).hostname or ""
    advice = (text for name, text in DOWNLOAD_LINKS.items() if host == name or host.endswith(f".{name}"))
    return WEB_PAGE + next(advice, ANY_LINK)
