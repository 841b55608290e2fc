"""The calls of tus 1.0 besides PATCH (tus.py): create an upload, query its offset, terminate it."""

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
from finetune_portal.datasets.upload.tus import CHECKSUMS, TUS, VERSION, expires_header
from finetune_portal.web.guards import maker_only
from finetune_portal.web.http import P, R, View

DEFAULT_FILENAME = "dataset.zip"


def speaks_tus(view: View[R, P]) -> View[R, P]:
    """Reject other versions of the protocol. Only OPTIONS may omit the version."""

    @wraps(view)
    def check(request: R, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != TUS["Tus-Resumable"]:
            return _rejected(412, "This server speaks tus 1.0.0.", **VERSION)
        return view(request, *args, **kwargs)

    return check


@require_http_methods(["POST", "OPTIONS"])
@maker_only
@speaks_tus
def begin_upload(request: PortalRequest) -> HttpResponse:
    """Create an upload (tus extension `creation`); OPTIONS lists what the server supports."""
    if request.method == "OPTIONS":
        return HttpResponse(status=204, headers={**TUS, **VERSION, **_capabilities()})
    length, metadata = (request.headers.get(f"Upload-{name}", "") for name in ("Length", "Metadata"))
    if not (length.isascii() and length.isdecimal()) or "Upload-Defer-Length" in request.headers:
        return _rejected(400, "Send the length of the file in the header Upload-Length.")
    try:
        filename = _filename(metadata)
    except ValueError:
        return _rejected(400, "The header Upload-Metadata is not in base64 and UTF-8.")
    form = UploadForm({"filename": filename, "size": length})
    if not form.is_valid():
        return _rejected(form.status, form.sentence)
    try:
        dataset = services.start_upload(owner=request.user, metadata=metadata, **form.cleaned_data)
    except services.TooManyUploadsError as exc:
        return _rejected(429, str(exc))
    location = reverse("datasets:upload", args=[dataset.key])
    headers = {**TUS, "Location": location, **expires_header(dataset), "Dataset-Id": str(dataset.pk)}
    return HttpResponse(status=201, headers=headers)


@require_http_methods(["HEAD", "DELETE"])
@maker_only
@speaks_tus
def upload(request: PortalRequest, key: uuid.UUID) -> HttpResponse:
    """HEAD returns the offset; DELETE ends an upload (tus extension `termination`)."""
    dataset = access.upload_of(request.user, key)
    if request.method == "HEAD":
        progress = {"Upload-Offset": str(dataset.received), "Upload-Length": str(dataset.size)}
        metadata = {"Upload-Metadata": dataset.metadata} if dataset.metadata else {}
        other = {"Dataset-Id": str(dataset.pk), "Cache-Control": "no-store"}
        return HttpResponse(headers={**TUS, **progress, **metadata, **expires_header(dataset), **other})
    if not services.discard_upload(dataset, actor=request.user):
        return _rejected(403, "This upload is complete, or a job waits for it. It was not deleted.")
    return HttpResponse(status=204, headers=TUS)


def _capabilities() -> dict[str, str]:
    return {
        "Tus-Extension": "creation,expiration,termination,checksum",
        "Tus-Max-Size": str(settings.DATASET_MAX_BYTES),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }


def _rejected(status: int, sentence: str, **headers: str) -> HttpResponse:
    headers = {**TUS, **headers, "Content-Type": "text/plain; charset=utf-8"}
    return HttpResponse(sentence, status=status, headers=headers)


def _filename(metadata: str) -> str:
    """The file name in `filename <base64>,...`. Raises ValueError for other forms."""
    for item in metadata.split(","):
        key, _, value = item.strip().partition(" ")
        if key in ("filename", "name"):
            try:
                return base64.b64decode(value, validate=True).decode("utf-8")
            except binascii.Error as exc:
                raise ValueError from exc
    return DEFAULT_FILENAME
