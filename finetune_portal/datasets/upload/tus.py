"""Receive the bytes of an upload: the PATCH of tus 1.0, as an ASGI endpoint beside Django.

The order is: write at the offset, flush to disk, commit the offset. What a broken connection or a killed
process wrote beyond the committed offset is written over at the next try. The file has its whole length from
the start, so that its room on the disk is taken. The other tus calls are in views.py.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import fcntl
import hashlib
import os
import re
import uuid
from dataclasses import dataclass
from typing import Any, Self

from django.conf import settings
from django.utils.http import http_date

from finetune_portal.datasets import access
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import commit_offset
from finetune_portal.storage import files
from finetune_portal.storage.room import RoomFile
from finetune_portal.web import disk_full
from finetune_portal.web.asgi import (
    Message,
    Receive,
    Scope,
    Send,
    headers_of,
    respond,
    run_in_thread,
    same_origin,
    signed_in_user,
)

TUS = {"Tus-Resumable": "1.0.0"}
VERSION = {"Tus-Version": "1.0.0"}
DIGITS = re.compile("[0-9]{1,18}")
WRITE_BYTES = 1024 * 1024
COMMIT_BYTES = 8 * 1024 * 1024
CHECKSUMS = ("sha1", "md5", "sha256")
MORE_THAN_ANNOUNCED = "More bytes came than the upload announced."


class TusError(Exception):
    """Ends the request with a status of the tus protocol and a sentence for people."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


@dataclass
class Chunk:
    """One PATCH: the dataset, the offset of the first byte, and the checksum that the body must have.

    `digest`, if there is one, is updated with the body.
    """

    dataset: Dataset
    offset: int
    algorithm: str
    checksum: bytes
    digest: Any = None


def override_method(scope: Scope) -> Scope:
    """Apply X-HTTP-Method-Override, which tus clients send where their network allows only POST."""
    if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/uploads/"):
        return scope
    method = headers_of(scope).get("x-http-method-override", "")
    return {**scope, "method": method} if method in ("PATCH", "DELETE") else scope


async def receive_chunk(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        chunk, file = await run_in_thread(_open_upload, scope["path"], headers_of(scope))
        with file:
            offset = await write_chunk(chunk, file, receive)
    except TusError as exc:
        version = VERSION if exc.status == 412 else {}
        await respond(send, exc.status, {**TUS, **version}, exc.sentence)
        return
    progress = {
        "Upload-Offset": str(offset),
        "Dataset-Bytes-Done": str(await run_in_thread(_bytes_done, chunk.dataset)),
    }
    await respond(send, 204, {**TUS, **progress, **expires_header(chunk.dataset)})


def _bytes_done(dataset: Dataset) -> int:
    """Bytes of the upload and the transfer, which the browser shows in one progress bar."""
    return dataset.bytes_done


def expires_header(dataset: Dataset) -> dict[str, str]:
    """The tus extension `expiration`: an incomplete upload is deleted some time."""
    return {} if dataset.is_whole else {"Upload-Expires": http_date(dataset.expires_at.timestamp())}


def _open_upload(path: str, headers: dict[str, str]) -> tuple[Chunk, RoomFile]:
    chunk = _parse_request(path, headers)
    return chunk, _open_at_offset(chunk)


def _parse_request(path: str, headers: dict[str, str]) -> Chunk:
    if headers.get("tus-resumable") != TUS["Tus-Resumable"]:
        raise TusError(412, "This server speaks tus 1.0.0.")
    if not same_origin(headers):
        raise TusError(403, "Uploads must come from the portal's own pages.")
    if headers.get("content-type") != "application/offset+octet-stream":
        raise TusError(415, "The content type must be application/offset+octet-stream.")
    uploader = _uploader(headers)
    dataset = access.visible(uploader).filter(key=_key(path), owner=uploader).first()
    if dataset is None:
        raise TusError(404, "Upload not found.")
    offset = headers.get("upload-offset", "")
    if not DIGITS.fullmatch(offset):
        raise TusError(400, "The header Upload-Offset is missing.")
    if int(offset) != dataset.received:
        raise TusError(409, f"The upload stands at byte {dataset.received}.")
    _check_length(headers.get("content-length", ""), dataset.size - dataset.received)
    algorithm, checksum = _checksum(headers.get("upload-checksum", ""))
    return Chunk(dataset, int(offset), algorithm, checksum)


def _uploader(headers: dict[str, str]) -> Any:
    user = signed_in_user(headers, acts=True)
    if user is None:
        raise TusError(401, "Sign in again; the upload continues where it stopped.")
    if not user.can_train:
        raise TusError(403, "Viewers can look, but cannot upload. An admin can change your role.")
    return user


def _check_length(content_length: str, remaining: int) -> None:
    length = int(content_length) if DIGITS.fullmatch(content_length) else 0
    if length > remaining:
        raise TusError(413, MORE_THAN_ANNOUNCED)


def _key(path: str) -> uuid.UUID:
    try:
        return uuid.UUID(path.removeprefix("/uploads/").strip("/"))
    except ValueError:
        raise TusError(404, "Upload not found.") from None


def _checksum(header: str) -> tuple[str, bytes]:
    if not header:
        return "", b""
    algorithm, _, value = header.partition(" ")
    if algorithm not in CHECKSUMS:
        raise TusError(400, f"Checksums are {', '.join(CHECKSUMS)}.")
    try:
        return algorithm, base64.b64decode(value, validate=True)
    except binascii.Error:
        raise TusError(400, "The checksum is not base64.") from None


def _open_at_offset(chunk: Chunk) -> RoomFile:
    """Open the locked file at the committed offset, with room for all that was announced."""
    file = lock_file(chunk.dataset)
    try:
        chunk.dataset.refresh_from_db(fields=["received"])
        if chunk.dataset.received != chunk.offset:
            raise TusError(409, f"The upload stands at byte {chunk.dataset.received}.")
        _take_room(file, chunk.dataset.size)
        file.seek(chunk.offset)
    except BaseException:
        file.close()
        raise
    return file


def _take_room(file: RoomFile, size: int) -> None:
    """Have the whole length of the file allocated: a restore, or an older release, left it shorter."""
    try:
        file.announce(size)
    except OSError as exc:
        raise _no_room(exc) from None


def _no_room(exc: OSError) -> Exception:
    sentence = disk_full.sentence(exc)
    return TusError(disk_full.STATUS, sentence) if sentence else exc


def lock_file(dataset: Dataset) -> RoomFile:
    """Open the file, locked against a second connection that sends the same upload."""
    file = files.open_stored(dataset.path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise TusError(423, "Another connection is still sending this upload.") from None
    return file


async def write_chunk(chunk: Chunk, file: RoomFile, receive: Receive) -> int:
    """Write the body as it arrives and return the offset reached. Raises TusError, also on a full disk."""
    try:
        return await _copy_chunk(chunk, file, receive)
    except OSError as exc:
        raise _no_room(exc) from None


async def _copy_chunk(chunk: Chunk, file: RoomFile, receive: Receive) -> int:
    """Write the body, commit every 8 MiB without a checksum, and return the offset reached."""
    blocks: list[bytes] = []
    waiting, written, committed = 0, chunk.offset, chunk.offset
    digest = hashlib.new(chunk.algorithm, usedforsecurity=False) if chunk.algorithm else None
    more, is_disconnected = True, False
    async with BackgroundWriter(file, digest or chunk.digest) as writer:
        while more:
            message = await next_message(receive)
            is_disconnected = message["type"] == "http.disconnect"
            more = not is_disconnected and message.get("more_body", False)
            blocks.append(message.get("body", b""))
            waiting += len(blocks[-1])
            if written + waiting > chunk.dataset.size:
                raise TusError(413, MORE_THAN_ANNOUNCED)
            if waiting and (not more or waiting >= WRITE_BYTES):
                await writer.write(b"".join(blocks))
                blocks, waiting, written = [], 0, written + waiting
            if more and digest is None and written - committed >= COMMIT_BYTES:
                await writer.wait()
                committed = await run_in_thread(_commit, chunk.dataset, file, written)
    if digest is not None and (is_disconnected or digest.digest() != chunk.checksum):
        raise TusError(460, "The chunk arrived damaged. Send it again.")
    return int(await run_in_thread(_commit, chunk.dataset, file, written))


async def next_message(receive: Receive) -> Message:
    """The next message. A silent connection counts as closed: its sender may be back on another one."""
    try:
        return await asyncio.wait_for(receive(), settings.UPLOAD_QUIET_SECONDS)
    except TimeoutError:
        return {"type": "http.disconnect"}


class BackgroundWriter:
    """Write a block in a thread while the next one arrives. On exit nothing is being written."""

    def __init__(self, file: RoomFile, digest: Any) -> None:
        self._file, self._digest = file, digest
        self._writing: asyncio.Task[None] | None = None

    async def write(self, data: bytes) -> None:
        await self.wait()
        self._writing = asyncio.create_task(asyncio.to_thread(self._write, data))

    async def wait(self) -> None:
        if self._writing:
            await self._writing

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        if self._digest is not None:
            self._digest.update(data)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._writing:  # the file must not be closed while the thread writes
            await asyncio.wait({self._writing})
        if not any(exc_info):
            await self.wait()


def _commit(dataset: Dataset, file: RoomFile, written: int) -> int:
    os.fsync(file.fileno())
    commit_offset(dataset, written)
    return written
