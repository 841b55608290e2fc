"""The small calls of tus 1.0 around receive.py: begin an upload, ask for its offset, end it."""

from __future__ import annotations

import base64
import binascii
import uuid

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from finetune_portal.datasets import access, services
from finetune_portal.datasets.forms import UploadForm
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.receive import CHECKSUMS, TUS
from finetune_portal.web.guards import maker_only
from finetune_portal.web.http import PortalRequest


@require_http_methods(["POST", "OPTIONS"])
@maker_only
def begin_upload(request: PortalRequest) -> HttpResponse:
    """Creation (tus 1.0, extension `creation`)."""
    if request.method == "OPTIONS":
        extensions = "creation,termination,checksum"
        limits = {"Tus-Version": "1.0.0", "Tus-Max-Size": str(settings.DATASET_MAX_BYTES)}
        checksums = {"Tus-Checksum-Algorithm": ",".join(CHECKSUMS)}
        return HttpResponse(status=204, headers={**TUS, **limits, **checksums, "Tus-Extension": extensions})
    form = UploadForm({"filename": _filename(request), "size": request.headers.get("Upload-Length", "")})
    if not form.is_valid():
        return HttpResponse(form.sentence, status=422, content_type="text/plain", headers=TUS)
    dataset = services.start_upload(owner=request.user, **form.cleaned_data)
    place = reverse("datasets:upload", args=[dataset.key])
    return HttpResponse(status=201, headers={**TUS, "Location": place, "Dataset-Id": str(dataset.pk)})


@require_http_methods(["HEAD", "DELETE"])
@maker_only
def upload(request: PortalRequest, key: uuid.UUID) -> HttpResponse:
    """HEAD tells the offset; DELETE ends an upload (tus 1.0, extension `termination`)."""
    dataset = access.upload_of(request.user, key)
    if request.method == "DELETE":
        services.drop_upload(dataset)
        return HttpResponse(status=204, headers=TUS)
    return HttpResponse(status=200, headers={**TUS, **_progress(dataset)})


def _progress(dataset: Dataset) -> dict[str, str]:
    return {
        "Upload-Offset": str(dataset.received),
        "Upload-Length": str(dataset.size),
        "Dataset-Id": str(dataset.pk),
        "Cache-Control": "no-store",
    }


def _filename(request: PortalRequest) -> str:
    """From `Upload-Metadata: filename <base64>,...`."""
    for item in request.headers.get("Upload-Metadata", "").split(","):
        key, _, value = item.strip().partition(" ")
        if key in ("filename", "name"):
            try:
                return base64.b64decode(value, validate=True).decode("utf-8")
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""
