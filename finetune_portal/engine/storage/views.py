"""PUT, GET and HEAD of stored objects. Bodies are streamed both ways, so memory stays flat."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO
from xml.sax.saxutils import escape  # nosec B406  # it writes XML, and reads none

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.http import http_date

from finetune_portal.engine import room
from finetune_portal.engine.gunicorn_worker import wait_for_client
from finetune_portal.engine.storage import keys, signing

BLOCK = 1024 * 1024  # read at once from a client
SENT_BLOCK = 64 * 1024  # written at once to a client, which has IDLE_SECONDS to take it
MAX_BYTES = 5 * 1024**3  # of one PUT, as at S3


class StorageError(Exception):
    """An error response in the shape of S3."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def response(self) -> HttpResponse:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>{escape(self.message)}</Message>"
            f"<RequestId>{uuid.uuid4().hex[:16].upper()}</RequestId></Error>"
        )
        return HttpResponse(body, status=self.status, content_type="application/xml")


def stored_object(request: HttpRequest, key: str) -> HttpResponseBase:
    try:
        if not keys.is_valid(key):
            raise StorageError(403, "AccessDenied", "Access Denied")
        method = request.method or ""
        if method not in ("GET", "HEAD", "PUT"):
            raise StorageError(
                405, "MethodNotAllowed", "The specified method is not allowed against this resource."
            )
        query = request.META.get("QUERY_STRING", "")
        signing.check(settings.SECRET_KEY, method, keys.signed(key), query, timezone.now())
        wait_for_client(request)
        path = keys.path(settings.STORAGE_DIR, key)
        return _receive(request, path) if method == "PUT" else _send(request, path)
    except signing.AccessDeniedError as error:
        return StorageError(403, error.code, error.message).response()
    except StorageError as error:
        return error.response()


def _receive(request: HttpRequest, path: Path) -> HttpResponse:
    """Store exactly as many bytes as announced. Readers see the old object or the whole new one."""
    length = _content_length(request)
    try:
        with room.write_announced(path, length) as file:
            etag = _copy(request, file, length)
    except room.NoRoomError as error:
        _discard(request)
        raise StorageError(507, "InsufficientStorage", str(error)) from None
    return HttpResponse(status=200, headers={"ETag": f'"{etag}"'})


def _content_length(request: HttpRequest) -> int:
    header = request.META.get("CONTENT_LENGTH") or ""
    if request.META.get("HTTP_TRANSFER_ENCODING") or not re.fullmatch(r"[0-9]{1,20}", header):
        raise StorageError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    if int(header) > MAX_BYTES:
        raise StorageError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
    return int(header)


def _discard(request: HttpRequest) -> None:
    """Read the rest of a body: a client that still sends loses the answer when the connection is closed."""
    with suppress(OSError):
        while request.read(BLOCK):
            pass


def _copy(request: HttpRequest, file: BinaryIO, length: int) -> str:
    digest = hashlib.md5(usedforsecurity=False)  # what S3 answers as ETag
    left = length
    while left:
        try:
            block = request.read(min(BLOCK, left))
        except OSError:  # the client went away or fell silent
            block = b""
        if not block:
            raise StorageError(
                400, "IncompleteBody", "The body is shorter than the Content-Length header says."
            )
        digest.update(block)
        file.write(block)
        left -= len(block)
    return digest.hexdigest()


def _send(request: HttpRequest, path: Path) -> HttpResponseBase:
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise StorageError(404, "NoSuchKey", "The specified key does not exist.") from None
    etag = f'"{stat.st_size:x}-{stat.st_mtime_ns:x}"'
    modified = http_date(stat.st_mtime)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{path.name}"',
        "ETag": etag,
        "Last-Modified": modified,
    }
    start, end = 0, stat.st_size
    status = HTTPStatus.OK
    if request.headers.get("If-Range", etag) in (etag, modified):
        byte_range = _range(request.headers.get("Range", ""), stat.st_size)
        if byte_range == (0, 0):
            return HttpResponse(status=416, headers=headers | {"Content-Range": f"bytes */{stat.st_size}"})
        if byte_range:
            start, end = byte_range
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{stat.st_size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers)
    return StreamingHttpResponse(_blocks(path, start, end), status=status, headers=headers)


def _range(header: str, size: int) -> tuple[int, int] | None:
    """Start and end of a single byte range; (0, 0) if it lies outside the file; None to send everything."""
    match = re.fullmatch(r"bytes=(\d{0,19})-(\d{0,19})", header.strip())
    if not match or match.group() == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    return (start, end) if start < end else (0, 0)


def _blocks(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        left = end - start
        while left and (block := file.read(min(SENT_BLOCK, left))):
            left -= len(block)
            yield block
