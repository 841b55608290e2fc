"""Takes a ZIP that a script PUTs to its signed address, as a raw ASGI endpoint beside Django.

The rule of truth is that of datasets/upload/tus.py. A PUT that broke off is forgotten, and begins anew at the
same address; a file that came whole stays, and the address has served.
"""

from __future__ import annotations

from typing import BinaryIO

from django.db import IntegrityError

from finetune_portal.datasets.forms import UploadForm
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import discard_upload, restart_upload, start_upload
from finetune_portal.datasets.upload.tus import Chunk, TusError, lock_file, write_chunk
from finetune_portal.gateway import upload_urls
from finetune_portal.gateway.models import AccessToken, Right
from finetune_portal.gateway.upload_urls import Permit
from finetune_portal.web.asgi import Receive, Scope, Send, headers_of, respond, run_in_thread
from finetune_portal.web.request_context import acting_with_token


async def receive_file(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        query = scope["query_string"].decode("latin-1")
        dataset, file = await run_in_thread(_open_upload, scope["path"], query, headers_of(scope))
        with file:
            offset = await write_chunk(Chunk(dataset, 0, "", b""), file, receive)
            if offset != dataset.size:
                await run_in_thread(discard_upload, dataset, actor=None)
                raise TusError(400, "The file ended early. Send it again.")
    except TusError as exc:
        await respond(send, exc.status, text=exc.sentence)
        return
    await respond(send, 200)


def _open_upload(path: str, query: str, headers: dict[str, str]) -> tuple[Dataset, BinaryIO]:
    """The dataset, empty, and its file to write into."""
    permit = upload_urls.read(path, query)
    if permit is None:
        raise TusError(403, "This upload address is wrong or too old. Ask for a new one.")
    token = AccessToken.objects.select_related("owner").filter(pk=permit.token).first()
    if token is None or token.trouble or not token.may(Right.TRAIN):
        raise TusError(403, "The access token behind this upload address may not upload any more.")
    size = _size(permit, headers)
    with acting_with_token(f"{token} …{token.last_four}"):
        dataset = _dataset(permit, token, size)
    try:
        file = lock_file(dataset)
    except FileNotFoundError:
        raise _has_served() from None
    if not restart_upload(dataset, size):
        file.close()
        raise _has_served()
    file.truncate(0)
    return dataset, file


def _size(permit: Permit, headers: dict[str, str]) -> int:
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdecimal()) or "transfer-encoding" in headers:
        raise TusError(411, "Say how long the file is, by the header Content-Length.")
    form = UploadForm({"filename": permit.filename, "size": length})
    if not form.is_valid():
        raise TusError(422, form.sentence)
    return int(form.cleaned_data["size"])


def _dataset(permit: Permit, token: AccessToken, size: int) -> Dataset:
    known = Dataset.objects.filter(key=permit.key).first()
    if known:
        return known
    try:
        return start_upload(owner=token.owner, filename=permit.filename, size=size, key=permit.key)
    except IntegrityError:
        raise TusError(423, "Another connection has just begun this upload.") from None


def _has_served() -> TusError:
    return TusError(409, "This address has served already. Ask for a new one.")
