"""Takes the bytes of an upload: the PATCH of tus 1.0, as a raw ASGI endpoint beside Django.

The rule of truth: write at the offset, flush to disk, then commit the offset. What a dead connection or
process left behind the committed offset is cut off at the next try. The other tus calls are in views.py.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import fcntl
import hashlib
import os
import re
import uuid
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

from django.conf import settings
from django.utils.http import http_date

from finetune_portal.datasets.disk_space import lacks_room
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import keep_offset
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
BLOCK = 1024 * 1024
COMMIT_EVERY = 8 * 1024 * 1024
CHECKSUMS = ("sha1", "md5", "sha256")
MORE_THAN_ANNOUNCED = "More bytes came than the upload announced."


class Refusal(Exception):
    """Ends the request with a status of the tus protocol and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


@dataclass
class Piece:
    """One PATCH: which upload, from which offset, and the checksum that its body must have."""

    dataset: Dataset
    offset: int
    algorithm: str
    checksum: bytes


def as_meant(scope: Scope) -> Scope:
    """With the method that a tus client means where its network lets only POST through."""
    if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/uploads/"):
        return scope
    meant = headers_of(scope).get("x-http-method-override", "")
    return {**scope, "method": meant} if meant in ("PATCH", "DELETE") else scope


async def receive_piece(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        piece, file = await run_in_thread(_open, scope["path"], headers_of(scope))
        with file:
            offset = await take(piece, file, receive)
    except Refusal as refusal:
        version = VERSION if refusal.status == 412 else {}
        await respond(send, refusal.status, {**TUS, **version}, refusal.sentence)
        return
    told = {"Upload-Offset": str(offset), "Dataset-Moved": str(await run_in_thread(_moved, piece.dataset))}
    await respond(send, 204, {**TUS, **told, **end_of(piece.dataset)})


def _moved(dataset: Dataset) -> int:
    """Of both legs: the browser shows the second in the same bar."""
    return dataset.bytes_done


def end_of(dataset: Dataset) -> dict[str, str]:
    """The extension `expiration`: an upload that is not whole is cleared away some time."""
    return {} if dataset.is_whole else {"Upload-Expires": http_date(dataset.expires_at.timestamp())}


def _open(path: str, headers: dict[str, str]) -> tuple[Piece, BinaryIO]:
    piece = _asked(path, headers)
    return piece, _lock(piece)


def _asked(path: str, headers: dict[str, str]) -> Piece:
    if headers.get("tus-resumable") != TUS["Tus-Resumable"]:
        raise Refusal(412, "This server speaks tus 1.0.0.")
    if not same_origin(headers):
        raise Refusal(403, "Uploads come from the portal's own pages.")
    if headers.get("content-type") != "application/offset+octet-stream":
        raise Refusal(415, "The content type must be application/offset+octet-stream.")
    dataset = Dataset.objects.filter(key=_key(path), owner=_uploader(headers)).first()
    if dataset is None:
        raise Refusal(404, "There is no such upload.")
    offset = headers.get("upload-offset", "")
    if not DIGITS.fullmatch(offset):
        raise Refusal(400, "The header Upload-Offset is missing.")
    if int(offset) != dataset.received:
        raise Refusal(409, f"The upload stands at byte {dataset.received}.")
    _refuse_length(headers.get("content-length", ""), dataset.size - dataset.received)
    algorithm, checksum = _checksum(headers.get("upload-checksum", ""))
    return Piece(dataset, int(offset), algorithm, checksum)


def _uploader(headers: dict[str, str]) -> Any:
    user = signed_in_user(headers, acts=True)
    if user is None:
        raise Refusal(401, "Sign in again; the upload goes on where it stopped.")
    if not user.can_train:
        raise Refusal(403, "Viewers can look, but cannot upload. An admin can change your role.")
    return user


def _refuse_length(told: str, missing: int) -> None:
    length = int(told) if DIGITS.fullmatch(told) else 0
    if length > missing:
        raise Refusal(413, MORE_THAN_ANNOUNCED)
    if sentence := lacks_room(length):
        raise Refusal(507, sentence)


def _key(path: str) -> uuid.UUID:
    try:
        return uuid.UUID(path.removeprefix("/uploads/").strip("/"))
    except ValueError:
        raise Refusal(404, "There is no such upload.") from None


def _checksum(header: str) -> tuple[str, bytes]:
    if not header:
        return "", b""
    algorithm, _, value = header.partition(" ")
    if algorithm not in CHECKSUMS:
        raise Refusal(400, f"Checksums are {', '.join(CHECKSUMS)}.")
    try:
        return algorithm, base64.b64decode(value, validate=True)
    except binascii.Error:
        raise Refusal(400, "The checksum is not base64.") from None


def _lock(piece: Piece) -> BinaryIO:
    """The file, cut to the committed offset."""
    file = hold(piece.dataset)
    try:
        piece.dataset.refresh_from_db(fields=["received"])
        if piece.dataset.received != piece.offset:
            raise Refusal(409, f"The upload stands at byte {piece.dataset.received}.")
        file.truncate(piece.offset)
        file.seek(piece.offset)
    except BaseException:
        file.close()
        raise
    return file


def hold(dataset: Dataset) -> BinaryIO:
    """The file, held against a second connection that sends the same upload."""
    file = dataset.path.open("r+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise Refusal(423, "Another connection is still sending this upload.") from None
    return file


async def take(piece: Piece, file: BinaryIO, receive: Receive) -> int:
    """Write what arrives; the offset reached."""
    try:
        return await _copy(piece, file, receive)
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Refusal(507, "The portal's disk is full. Tell an admin; nothing is lost.") from None
        raise


async def _copy(piece: Piece, file: BinaryIO, receive: Receive) -> int:
    """Write what arrives, commit every 8 MiB, return the offset reached."""
    blocks: list[bytes] = []
    waiting, written, committed = 0, piece.offset, piece.offset
    digest = hashlib.new(piece.algorithm, usedforsecurity=False) if piece.algorithm else None
    more, gone = True, False
    async with Behind(file, digest) as behind:
        while more:
            message = await _next(receive)
            gone = message["type"] == "http.disconnect"
            more = not gone and message.get("more_body", False)
            blocks.append(message.get("body", b""))
            waiting += len(blocks[-1])
            if written + waiting > piece.dataset.size:
                raise Refusal(413, MORE_THAN_ANNOUNCED)
            if waiting and (not more or waiting >= BLOCK):
                await behind.write(b"".join(blocks))
                blocks, waiting, written = [], 0, written + waiting
            if more and digest is None and written - committed >= COMMIT_EVERY:
                await behind.done()
                committed = await run_in_thread(_commit, piece.dataset, file, written)
    if digest is not None and (gone or digest.digest() != piece.checksum):
        raise Refusal(460, "The piece arrived damaged. Send it again.")
    return int(await run_in_thread(_commit, piece.dataset, file, written))


async def _next(receive: Receive) -> Message:
    """A connection from which nothing comes any more counts as gone: its sender may be back on another."""
    try:
        return await asyncio.wait_for(receive(), settings.UPLOAD_QUIET_SECONDS)
    except TimeoutError:
        return {"type": "http.disconnect"}


class Behind:
    """Writes a block in a thread while the next one arrives. At its end nothing writes any more."""

    def __init__(self, file: BinaryIO, digest: Any) -> None:
        self._file, self._digest = file, digest
        self._writing: asyncio.Task[None] | None = None

    async def write(self, data: bytes) -> None:
        await self.done()
        self._writing = asyncio.create_task(asyncio.to_thread(self._write, data))

    async def done(self) -> None:
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

    async def __aexit__(self, *failure: object) -> None:
        if self._writing:  # the file must not be closed under its writer
            await asyncio.wait({self._writing})
        if not any(failure):
            await self.done()


def _commit(dataset: Dataset, file: BinaryIO, written: int) -> int:
    os.fsync(file.fileno())
    keep_offset(dataset, written)
    return written
