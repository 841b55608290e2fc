"""Answer with a large file in blocks, whole or by the range that a browser asks for to go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header


class RemoteFile(Protocol):
    """A file that is read from elsewhere. `etag` changes with its content; `modified` is an HTTP date."""

    @property
    def size(self) -> int: ...
    @property
    def etag(self) -> str: ...
    @property
    def modified(self) -> str: ...

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`."""


class BlockResponse(StreamingHttpResponse):
    """A response that asgi_handler.py sends block by block; every other one is small and sent whole."""


def file_response(request: HttpRequest, file: RemoteFile, filename: str) -> HttpResponseBase:
    """Return the file or a range of it (RFC 9110, 14): 200, 206, or 416 for a range beyond its end."""
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Content-Disposition": content_disposition_header(True, filename) or "attachment",
    }
    versions = {"ETag": file.etag, "Last-Modified": file.modified}
    headers |= {name: value for name, value in versions.items() if value}
    start, end, status = 0, file.size, 200
    if request.headers.get("If-Range", file.etag) in (file.etag, file.modified):
        wanted = _wanted_range(request.headers.get("Range", ""), file.size)
        if wanted == (0, 0):
            headers["Content-Range"] = f"bytes */{file.size}"
            return HttpResponse(status=416, headers=headers)
        if wanted:
            start, end = wanted
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers)
    return BlockResponse(file.blocks(start, end), status=status, headers=headers)


def _wanted_range(header: str, size: int) -> tuple[int, int] | None:
    """Return start and end of a single range; (0, 0) beyond the file; None for the whole file.

    Several ranges and what is no range are ignored, as RFC 9110, 14.2 allows.
    """
    match = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", header.strip())
    if not match or match[0].endswith("=-"):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    return (start, end) if start < end else (0, 0)
