"""The picture to run a model on: one that was uploaded here, a data: URI, or one at a public address.

What a call sends is decoded and kept as on the page (playground/inputs.py). An address elsewhere is called
through the guard of typed addresses, and by few threads at a time, as it may answer slowly.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from pathlib import PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

from django.conf import settings
from django.http.request import validate_host
from django.urls import reverse

from finetune_portal.accounts.models import User
from finetune_portal.gateway.api_call import ApiError
from finetune_portal.jobs.models import Job
from finetune_portal.playground import access, inputs
from finetune_portal.playground.models import Input
from finetune_portal.web import outbound
from finetune_portal.web.busy import BusyError
from finetune_portal.web.names import clean_name

DATA_URI = re.compile(r"data:image/[a-z0-9.+-]+;base64,", re.IGNORECASE)
OWN_PATH = re.compile(r"/assets/([0-9a-f]{64})\.(?:png|jpeg)")
UNNAMED = "Uploaded through the API"
GONE = "The portal no longer has this picture. Upload it again."
NOT_DATA = "This is no data: URI of a picture in base64."
NOT_THERE = "The server of this address answers {status}."
FETCH_SECONDS = 15.0
_fetching = threading.BoundedSemaphore(4)  # of the threads of pages
FETCH_BUSY = "The portal is downloading other pictures, so nothing was started. Try again in a few seconds."


def asset_url(base_url: str, image: Input) -> str:
    """The URL that names an uploaded picture in a call. It opens nothing."""
    return urljoin(base_url, reverse("gateway:asset", args=[f"{image.sha256}.{image.kind}"]))


def from_data(uri: str, user: User, job: Job | None = None) -> Input:
    """Raises InvalidPictureError and BusyError."""
    head = DATA_URI.match(uri)
    try:
        content = base64.b64decode(uri[head.end() :], validate=True) if head else b""
    except (binascii.Error, ValueError):
        content = b""
    if not content:
        raise inputs.InvalidPictureError(NOT_DATA)
    return _kept(content, UNNAMED, user, job)


def from_address(address: str, user: User, job: Job) -> Input:
    """The picture of an `input_image`. Raises ApiError and BusyError."""
    try:
        if address[:5].lower() == "data:":
            return from_data(address, user, job)
        if sha256 := _own_key(address):
            return _uploaded(sha256, user, job)
        return _kept(_fetched(address), _name_in(address), user, job)
    except inputs.InvalidPictureError as exc:
        raise ApiError(422, f"input_image: {exc}") from None


def is_elsewhere(address: str) -> bool:
    """Whether another server has to be asked for the picture."""
    return address[:5].lower() != "data:" and not _own_key(address)


def _kept(content: bytes, name: str, user: User, job: Job | None) -> Input:
    if len(content) > inputs.MAX_BYTES:
        raise inputs.InvalidPictureError(inputs.TOO_LARGE)
    return inputs.from_file(content, name, actor=user, job=job)


def _own_key(address: str) -> str:
    """The SHA-256 in one of our own URLs; empty for any other URL."""
    try:
        parts = urlsplit(address)
        match = OWN_PATH.search(parts.path)
        return match[1] if match and validate_host(parts.hostname or "", settings.ALLOWED_HOSTS) else ""
    except ValueError:
        return ""


def _uploaded(sha256: str, user: User, job: Job) -> Input:
    image = access.inputs_beside(user, job).filter(sha256=sha256).first()
    if image is None or not image.path.is_file():
        raise inputs.InvalidPictureError(GONE)
    return image


def _name_in(address: str) -> str:
    return clean_name(PurePosixPath(unquote(urlsplit(address).path)).name) or UNNAMED


def _fetched(address: str) -> bytes:
    if not _fetching.acquire(blocking=False):
        raise BusyError(FETCH_BUSY)
    try:
        with outbound.within(FETCH_SECONDS):
            answer = outbound.Session().get_range(address, 0, inputs.MAX_BYTES + 1)
    except outbound.OutboundError as exc:
        raise inputs.InvalidPictureError(str(exc)) from None
    finally:
        _fetching.release()
    if answer.status not in (200, 206):
        raise inputs.InvalidPictureError(NOT_THERE.format(status=answer.status))
    return answer.content
