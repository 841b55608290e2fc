"""Receive a ZIP that a script PUTs to its presigned URL, as a raw ASGI endpoint beside Django.

As in datasets/upload/tus.py, only what is on disk counts. A PUT that breaks off is dropped and starts again
at the same URL. Once a file has arrived whole, its URL takes the same bytes again, as at S3, and no others.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import IntegrityError

from finetune_portal.datasets.forms import UploadForm
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import (
    TooManyUploadsError,
    discard_upload,
    restart_upload,
    start_upload,
)
from finetune_portal.datasets.upload.tus import Chunk, TusError, lock_file, next_message, write_chunk
from finetune_portal.gateway import upload_urls
from finetune_portal.gateway.models import PersonalToken, Right
from finetune_portal.gateway.upload_urls import UploadGrant
from finetune_portal.storage.room import RoomFile
from finetune_portal.web import disk_full
from finetune_portal.web.asgi import Receive, Scope, Send, headers_of, respond, run_in_thread
from finetune_portal.web.request_context import acting_with_token

ENDED_EARLY = "The file ended early. Send it again."


async def receive_file(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        query = scope["query_string"].decode("latin-1")
        dataset, file = await run_in_thread(_open_upload, scope["path"], query, headers_of(scope))
        if file is None:
            md5 = await _receive_again(dataset, receive)
        else:
            with file:
                md5 = await _receive(dataset, file, receive)
    except TusError as exc:
        await respond(send, exc.status, text=exc.sentence)
        return
    await respond(send, 200, {"ETag": f'"{md5}"'})


async def _receive(dataset: Dataset, file: RoomFile, receive: Receive) -> str:
    """Write the body and return its MD5, the ETag of S3."""
    digest = hashlib.md5(usedforsecurity=False)
    if await write_chunk(Chunk(dataset, 0, "", b"", digest), file, receive) != dataset.size:
        await run_in_thread(discard_upload, dataset, actor=None)
        raise TusError(400, ENDED_EARLY)
    return digest.hexdigest()


async def _receive_again(dataset: Dataset, receive: Receive) -> str:
    """Compare the body with the file that this URL brought before, and return their MD5."""
    digest, length, more = hashlib.md5(usedforsecurity=False), 0, True
    while more:
        message = await next_message(receive)
        if message["type"] == "http.disconnect":
            raise TusError(400, ENDED_EARLY)
        part = message.get("body", b"")
        more, length = message.get("more_body", False), length + len(part)
        digest.update(part)
    if length != dataset.size or digest.hexdigest() != await run_in_thread(_md5_of, dataset):
        raise _already_used()
    return digest.hexdigest()


def _md5_of(dataset: Dataset) -> str:
    """The MD5 of the file, empty if the portal no longer has it."""
    if dataset.md5:
        return dataset.md5
    try:
        with dataset.path.open("rb") as file:
            return hashlib.file_digest(file, _md5).hexdigest()
    except FileNotFoundError:
        return ""


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _open_upload(path: str, query: str, headers: dict[str, str]) -> tuple[Dataset, RoomFile | None]:
    """The empty dataset and its file to write into; no file if this URL has brought one of this size."""
    grant = upload_urls.read_grant(path, query)
    if grant is None:
        raise TusError(403, "This upload URL is wrong or too old. Ask for a new one.")
    token = PersonalToken.objects.select_related("owner").filter(pk=grant.token).first()
    if token is None or token.problem or not token.has_right(Right.TRAIN):
        raise TusError(403, "The personal token of this upload URL may not upload any more.")
    size = _size(grant, headers)
    with acting_with_token(f"{token} …{token.last_four}"):
        dataset = _dataset(grant, token, size)
    if dataset.state != Dataset.State.RECEIVING:
        if dataset.size != size:
            raise _already_used()
        return dataset, None
    try:
        file = lock_file(dataset)
    except FileNotFoundError:
        raise _already_used() from None
    if not restart_upload(dataset, size):
        file.close()
        raise _already_used()
    try:
        file.truncate(size)
    except disk_full.DiskFullError as exc:
        file.close()
        raise TusError(disk_full.STATUS, str(exc)) from None
    return dataset, file


def _size(grant: UploadGrant, headers: dict[str, str]) -> int:
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdecimal()) or "transfer-encoding" in headers:
        raise TusError(411, "Send the length of the file in the header Content-Length.")
    form = UploadForm({"filename": grant.filename, "size": length})
    if not form.is_valid():
        raise TusError(form.status, form.sentence)
    return int(form.cleaned_data["size"])


def _dataset(grant: UploadGrant, token: PersonalToken, size: int) -> Dataset:
    dataset = Dataset.objects.filter(key=grant.key).first()
    if dataset:
        return dataset
    try:
        return start_upload(owner=token.owner, filename=grant.filename, size=size, key=grant.key)
    except IntegrityError:
        raise TusError(423, "Another connection has just started this upload.") from None
    except TooManyUploadsError as exc:
        raise TusError(429, str(exc)) from None
    except disk_full.DiskFullError as exc:
        raise TusError(disk_full.STATUS, str(exc)) from None


def _already_used() -> TusError:
    return TusError(409, "This upload URL was used already. Ask for a new one.")
