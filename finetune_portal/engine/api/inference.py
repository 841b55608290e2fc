"""Runs a finished model: `POST /v1/<slug>`, and hosts the pictures for it: `POST /upload-asset`.

The fields are those of the vendor's base model and FLUX LoRAs (docs/provider-api.md, 13): no page shows a
Kontext LoRA's own. The answer is the bare picture.
"""

from __future__ import annotations

import random
import uuid

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from finetune_portal.engine import inputs, job_urls, states
from finetune_portal.engine.api.calls import Fields, Refused, endpoint, number, text
from finetune_portal.engine.models import Job
from finetune_portal.engine.storage import keys
from finetune_portal.engine.trainers import current
from finetune_portal.engine.trainers.image_generator import SOON, NoPlace, Order, Painter, PaintingFailed

LARGEST_BODY = 20 * 1024**2  # a picture of 12 MiB in base64, and some words
LONGEST_ADDRESS = 2000
MOST_ASSETS = 10
KINDS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG"}
RATIO = "match_input_image"
NOTHING_LEARNT = "This model was simulated: nothing was learnt, so there is nothing to run."

NO_MODEL = "This engine runs without KONTEXT_MODEL_DIR, so it has no model to put the LoRA on."


@endpoint("POST", largest=LARGEST_BODY)
def run(request: HttpRequest, fields: Fields) -> HttpResponse:
    job = _job(str(fields["slug"]))
    painter = _painter(job)
    order = _order(job, fields)
    try:
        picture = painter.paint(order)
    except NoPlace as told:
        again = f"Try again in {SOON} seconds."
        raise Refused(503, f"{told} {again}", {"Retry-After": str(SOON)}) from None
    except PaintingFailed as told:
        raise Refused(500, str(told)) from None
    return HttpResponse(picture, content_type=f"image/{order.kind.lower()}")


@endpoint("POST", largest=LARGEST_BODY)
def upload_asset(request: HttpRequest, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 13: `data_urls` in, `file_urls` out, for use as `input_image` only."""
    told = fields.get("data_urls")
    if not isinstance(told, list) or not 1 <= len(told) <= MOST_ASSETS:
        raise Refused(422, f"data_urls must be a list of 1 to {MOST_ASSETS} data: URIs.")
    try:
        hosted = [inputs.host(inputs.of_data(str(each)), storage=settings.STORAGE_DIR) for each in told]
    except inputs.BadInput as wrong:
        raise Refused(422, str(wrong)) from None
    base_url = f"{request.scheme}://{request.get_host()}"
    urls = [keys.url(base_url, key) for key in hosted]
    return JsonResponse({"file_urls": urls, "message": "Files uploaded."})


def _job(slug: str) -> Job:
    try:
        job = Job.objects.get(pk=uuid.UUID(slug[:36]))
    except (ValueError, Job.DoesNotExist):
        job = None
    if job is None or job_urls.slug(job) != slug:
        raise Refused(404, "There is no model at this address.")
    if job.state != states.AVAILABLE or not job.weights:
        raise Refused(409, f"This model cannot be run: its training is {job.state}.")
    return job


def _painter(job: Job) -> Painter:
    painter = current().painter
    if job.trained_by.get("simulated", True):
        raise Refused(409, NOTHING_LEARNT)
    if painter is None:
        raise Refused(409, NO_MODEL)
    if job.trained_by.get("base_model") != painter.model.name:
        trained, here = job.trained_by.get("base_model"), painter.model.name
        raise Refused(409, f"This LoRA was trained on {trained}, but KONTEXT_MODEL_DIR holds {here}.")
    return painter


def _order(job: Job, fields: Fields) -> Order:
    if text(fields, "aspect_ratio", longest=100, needed=False) not in ("", RATIO):
        raise Refused(422, f"aspect_ratio must be {RATIO}: no other is known here.")
    kind = text(fields, "output_format", longest=10, needed=False) or "png"
    if kind not in KINDS:
        raise Refused(422, f"output_format must be one of: {', '.join(KINDS)}.")
    return Order(
        weights=keys.path(settings.STORAGE_DIR, job.weights),
        strength=_within(fields, "lora_strength", 1.0, -10, 10),
        prompt=text(fields, "prompt", longest=5000),
        seed=_whole(fields, "seed", random.randrange(2**31), 0, 2**32 - 1),  # nosec B311  # no secret
        steps=_whole(fields, "num_inference_steps", 28, 1, 100),
        guidance=_within(fields, "guidance", 2.5, 0, 20),
        kind=KINDS[kind],
        picture=_picture(fields),
    )


def _within(fields: Fields, name: str, default: float, least: float, most: float) -> float:
    found = number(fields, name, default)
    if not least <= found <= most:
        raise Refused(422, f"{name} must be from {least} to {most}.")
    return found


def _whole(fields: Fields, name: str, default: int, least: int, most: int) -> int:
    found = _within(fields, name, default, least, most)
    if found != int(found):
        raise Refused(422, f"{name} must be a whole number.")
    return int(found)


def _picture(fields: Fields) -> bytes:
    is_data = str(fields.get("input_image", "")).startswith("data:")
    address = text(fields, "input_image", longest=LARGEST_BODY if is_data else LONGEST_ADDRESS)
    try:
        return inputs.read(address, storage=settings.STORAGE_DIR, allow=settings.FETCH_ALLOW)
    except inputs.BadInput as wrong:
        raise Refused(422, str(wrong)) from None
