"""The small calls of tus 1.0 around tus.py: begin an upload, ask for its offset, end it."""

from __future__ import annotations

import base64
import binascii
import uuid
from functools import wraps

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.datasets import access, services
from finetune_portal.datasets.forms import UploadForm
from finetune_portal.datasets.upload.tus import CHECKSUMS, TUS, VERSION, end_of
from finetune_portal.web.guards import maker_only
from finetune_portal.web.http import P, R, View

NAMELESS = "dataset.zip"


def speaks_tus(view: View[R, P]) -> View[R, P]:
    """Refuse another version of the protocol; only OPTIONS may come without naming one."""

    @wraps(view)
    def check(request: R, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != TUS["Tus-Resumable"]:
            return _refused(412, "This server speaks tus 1.0.0.", **VERSION)
        return view(request, *args, **kwargs)

    return check


@require_http_methods(["POST", "OPTIONS"])
@maker_only
@speaks_tus
def begin_upload(request: PortalRequest) -> HttpResponse:
    """Creation (tus 1.0, extension `creation`)."""
    if request.method == "OPTIONS":
        return HttpResponse(status=204, headers={**TUS, **VERSION, **_abilities()})
    length, metadata = (request.headers.get(f"Upload-{name}", "") for name in ("Length", "Metadata"))
    if not (length.isascii() and length.isdecimal()) or "Upload-Defer-Length" in request.headers:
        return _refused(400, "Say how long the file is, by the header Upload-Length.")
    try:
        filename = _filename(metadata)
    except ValueError:
        return _refused(400, "The header Upload-Metadata is not in base64 and UTF-8.")
    form = UploadForm({"filename": filename, "size": length})
    if not form.is_valid():
        return _refused(form.status, form.sentence)
    dataset = services.start_upload(owner=request.user, metadata=metadata, **form.cleaned_data)
    place = reverse("datasets:upload", args=[dataset.key])
    lines = {**TUS, "Location": place, **end_of(dataset), "Dataset-Id": str(dataset.pk)}
    return HttpResponse(status=201, headers=lines)


@require_http_methods(["HEAD", "DELETE"])
@maker_only
@speaks_tus
def upload(request: PortalRequest, key: uuid.UUID) -> HttpResponse:
    """HEAD tells the offset; DELETE ends an upload (tus 1.0, extension `termination`)."""
    dataset = access.upload_of(request.user, key)
    if request.method == "HEAD":
        numbers = {"Upload-Offset": str(dataset.received), "Upload-Length": str(dataset.size)}
        metadata = {"Upload-Metadata": dataset.metadata} if dataset.metadata else {}
        known = {"Dataset-Id": str(dataset.pk), "Cache-Control": "no-store"}
        return HttpResponse(headers={**TUS, **numbers, **metadata, **end_of(dataset), **known})
    if not services.drop_upload(dataset, actor=request.user):
        return _refused(403, "This upload is whole, or a training waits for it. It stays.")
    return HttpResponse(status=204, headers=TUS)


def _abilities() -> dict[str, str]:
    return {
        "Tus-Extension": "creation,expiration,termination,checksum",
        "Tus-Max-Size": str(settings.DATASET_MAX_BYTES),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }


def _refused(status: int, sentence: str, **headers: str) -> HttpResponse:
    lines = {**TUS, **headers, "Content-Type": "text/plain; charset=utf-8"}
    return HttpResponse(sentence, status=status, headers=lines)


def _filename(metadata: str) -> str:
    """From `filename <base64>,...`. Raises ValueError for what is not in that form."""
    for item in metadata.split(","):
        key, _, value = item.strip().partition(" ")
        if key in ("filename", "name"):
            try:
                return base64.b64decode(value, validate=True).decode("utf-8")
            except binascii.Error as exc:
                raise ValueError from exc
    return NAMELESS
