"""Read a dataset ZIP at a public address by ranged requests.

The provider fetches `data_source_path` itself: it sends HEAD, then GET, and needs a Content-Length
(docs/provider-api.md, 1 and 8.2). The portal reports what would fail there before money is spent.
"""

from __future__ import annotations

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


class RemoteFileError(Exception):
    """The file cannot be read. The text is shown to people."""


class RemoteFile:
    """A file of a known size, read by ranged GETs."""

    def __init__(self, session: outbound.Session, url: str, size: int) -> None:
        self._session, self._url, self.size = session, url, size

    def read_at(self, start: int, count: int) -> bytes:
        """Up to `count` bytes from `start` on. Raises RemoteFileError."""
        end = min(self.size, start + count)
        try:
            response = self._session.get_range(self._url, start, end)
        except outbound.OutboundError as exc:
            raise RemoteFileError(str(exc)) from None
        _check_status(response, "GET")
        if response.status == 200 and start:
            raise RemoteFileError("The server sends no parts of a file (Range), so it cannot be checked.")
        if start == 0 and _is_markup(response.content):
            raise RemoteFileError(_advice(self._url))
        if len(response.content) != end - start:
            raise RemoteFileError("The server sent less of the file than it announced.")
        return response.content


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


def _check_status(response: outbound.Response, method: str) -> None:
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
