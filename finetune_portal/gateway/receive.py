"""Takes a ZIP that a script PUTs to its signed address, as a raw ASGI endpoint beside Django.

The rule of truth is that of datasets/upload/tus.py. A PUT that broke off is forgotten, and begins anew at the
same address; a file that came whole stays, and the address has served.
"""

from __future__ import annotations

from typing import BinaryIO

from django.db import IntegrityError

from finetune_portal.datasets.forms import UploadForm
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import begin_anew, drop_upload, start_upload
from finetune_portal.datasets.upload.tus import Piece, Refusal, hold, take
from finetune_portal.gateway import upload_urls
from finetune_portal.gateway.models import AccessToken, Right
from finetune_portal.gateway.upload_urls import Permit
from finetune_portal.web.asgi import Receive, Scope, Send, headers_of, respond, run_in_thread
from finetune_portal.web.request_context import acting_with_token


async def receive_file(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        query = scope["query_string"].decode("latin-1")
        dataset, file = await run_in_thread(_open, scope["path"], query, headers_of(scope))
        with file:
            offset = await take(Piece(dataset, 0, "", b""), file, receive)
            if offset != dataset.size:
                await run_in_thread(drop_upload, dataset, actor=None)
                raise Refusal(400, "The file ended early. Send it again.")
    except Refusal as refusal:
        await respond(send, refusal.status, text=refusal.sentence)
        return
    await respond(send, 200)


def _open(path: str, query: str, headers: dict[str, str]) -> tuple[Dataset, BinaryIO]:
    """The dataset, empty, and its file to write into."""
    permit = upload_urls.read(path, query)
    if permit is None:
        raise Refusal(403, "This upload address is wrong or too old. Ask for a new one.")
    token = AccessToken.objects.select_related("owner").filter(pk=permit.token).first()
    if token is None or token.trouble or not token.may(Right.TRAIN):
        raise Refusal(403, "The access token behind this upload address may not upload any more.")
    size = _size(permit, headers)
    with acting_with_token(f"{token} …{token.last_four}"):
        dataset = _dataset(permit, token, size)
    try:
        file = hold(dataset)
    except FileNotFoundError:
        raise _has_served() from None
    if not begin_anew(dataset, size):
        file.close()
        raise _has_served()
    file.truncate(0)
    return dataset, file


def _size(permit: Permit, headers: dict[str, str]) -> int:
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdecimal()) or "transfer-encoding" in headers:
        raise Refusal(411, "Say how long the file is, by the header Content-Length.")
    form = UploadForm({"filename": permit.filename, "size": length})
    if not form.is_valid():
        raise Refusal(422, form.sentence)
    return int(form.cleaned_data["size"])


def _dataset(permit: Permit, token: AccessToken, size: int) -> Dataset:
    known = Dataset.objects.filter(key=permit.key).first()
    if known:
        return known
    try:
        return start_upload(owner=token.owner, filename=permit.filename, size=size, key=permit.key)
    except IntegrityError:
        raise Refusal(423, "Another connection has just begun this upload.") from None


def _has_served() -> Refusal:
    return Refusal(409, "This address has served already. Ask for a new one.")
