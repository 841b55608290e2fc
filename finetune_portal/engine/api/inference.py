"""Run a finished model (`POST /v1/<slug>`), and host images for it (`POST /upload-asset`).

The fields are those of the vendor's base model and FLUX LoRAs (docs/provider-api.md, 13): no page shows a
Kontext LoRA's own. The response is the bare image.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from finetune_portal.engine import input_images, job_urls, states
from finetune_portal.engine.api.endpoint import ApiError, Fields, endpoint, number, text
from finetune_portal.engine.images.decoder import Decoder
from finetune_portal.engine.images.errors import DecoderUnavailableError
from finetune_portal.engine.models import Job
from finetune_portal.engine.storage import keys
from finetune_portal.engine.trainers.current import current_trainer
from finetune_portal.engine.trainers.families.layouts import Layout
from finetune_portal.engine.trainers.image_generator import (
    RETRY_SECONDS,
    GenerateRequest,
    GenerationError,
    GeneratorBusyError,
    ImageGenerator,
)
from finetune_portal.engine.trainers.model_folder import BaseModel
from finetune_portal.engine.trainers.trainer import KONTEXT, find_model

MAX_BODY = 20 * 1024**2  # an image of 12 MiB in base64, and some text
MAX_ADDRESS = 2000
MAX_ASSETS = 10
DECODER_RETRY_SECONDS = 5
FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG"}
ASPECT_RATIO = "match_input_image"
SIMULATED = "This model was simulated: nothing was learnt, so there is nothing to run."


@endpoint("POST", largest=MAX_BODY)
def run(request: HttpRequest, fields: Fields) -> HttpResponse:
    """Generate an image with a finished model (docs/engine.md)."""
    job = _finished_job(str(fields["slug"]))
    generator, model = _image_generator(job)
    generate_request = _generate_request(job, fields, model.layout)
    try:
        image = generator.generate(generate_request, model)
    except GeneratorBusyError as error:
        message = f"{error} Try again in {RETRY_SECONDS} seconds."
        raise ApiError(503, message, {"Retry-After": str(RETRY_SECONDS)}) from None
    except GenerationError as error:
        raise ApiError(500, str(error)) from None
    return HttpResponse(image, content_type=f"image/{generate_request.kind.lower()}")


@endpoint("POST", largest=MAX_BODY)
def upload_asset(request: HttpRequest, fields: Fields) -> HttpResponse:
    """Host the `data_urls` for use as `input_image`; answer with `file_urls` (docs/provider-api.md, 13)."""
    data_urls = fields.get("data_urls")
    if not isinstance(data_urls, list) or not 1 <= len(data_urls) <= MAX_ASSETS:
        raise ApiError(422, f"data_urls must be a list of 1 to {MAX_ASSETS} data: URIs.")
    storage, base_url = settings.STORAGE_DIR, f"{request.scheme}://{request.get_host()}"
    with _decoder() as decoder:
        images = [
            input_images.decode_data_uri(str(each), storage=storage, decoder=decoder) for each in data_urls
        ]
    urls = [keys.url(base_url, input_images.host(each, storage=storage)) for each in images]
    return JsonResponse({"file_urls": urls, "message": "Files uploaded."})


def _finished_job(slug: str) -> Job:
    try:
        job = Job.objects.get(pk=uuid.UUID(slug[:36]))
    except (ValueError, Job.DoesNotExist):
        job = None
    if job is None or job_urls.slug(job) != slug:
        raise ApiError(404, "There is no model at this address.")
    if job.state != states.AVAILABLE or not job.weights:
        raise ApiError(409, f"This model cannot be run: its training is {job.state}.")
    return job


def _image_generator(job: Job) -> tuple[ImageGenerator, BaseModel]:
    """The generator of this engine, and the model that the LoRA was trained on, if it has that one."""
    trainer = current_trainer()
    generator = trainer.image_generator
    if job.trained_by.get("simulated", True):
        raise ApiError(409, SIMULATED)
    if generator is None:
        raise ApiError(409, trainer.why_no_images)
    model, trained_on = find_model(trainer.models, job.base_model), job.trained_by.get("base_model")
    if model is None or model.name != trained_on:
        here = ", ".join(f"{each.name} ({each.variant.id})" for each in trainer.models)
        trained = f"{trained_on} ({job.base_model or KONTEXT})"
        raise ApiError(409, f"This LoRA was trained on {trained}, but this engine has {here}.")
    return generator, model


def _generate_request(job: Job, fields: Fields, layout: Layout) -> GenerateRequest:
    if text(fields, "aspect_ratio", longest=100, needed=False) not in ("", ASPECT_RATIO):
        raise ApiError(422, f"aspect_ratio must be {ASPECT_RATIO}: no other is known here.")
    output_format = text(fields, "output_format", longest=10, needed=False) or "png"
    if output_format not in FORMATS:
        raise ApiError(422, f"output_format must be one of: {', '.join(FORMATS)}.")
    return GenerateRequest(
        weights=keys.path(settings.STORAGE_DIR, job.weights),
        strength=_number_within(fields, "lora_strength", 1.0, -10, 10),
        prompt=text(fields, "prompt", longest=5000),
        seed=_whole_within(fields, "seed", random.randrange(2**31), 0, 2**32 - 1),  # nosec B311  # no secret
        steps=_whole_within(fields, "num_inference_steps", 28, layout.least_steps, 100),
        guidance=_number_within(fields, "guidance", layout.guidance, 0, 20),
        kind=FORMATS[output_format],
        picture=_input_image(fields),
    )


def _number_within(fields: Fields, name: str, default: float, least: float, most: float) -> float:
    value = number(fields, name, default)
    if not least <= value <= most:
        raise ApiError(422, f"{name} must be from {least} to {most}.")
    return value


def _whole_within(fields: Fields, name: str, default: int, least: int, most: int) -> int:
    value = _number_within(fields, name, default, least, most)
    if value != int(value):
        raise ApiError(422, f"{name} must be a whole number.")
    return int(value)


def _input_image(fields: Fields) -> bytes:
    is_data = str(fields.get("input_image", "")).startswith("data:")
    address = text(fields, "input_image", longest=MAX_BODY if is_data else MAX_ADDRESS)
    with _decoder() as decoder:
        return input_images.load(
            address, storage=settings.STORAGE_DIR, allow=settings.FETCH_ALLOW, decoder=decoder
        )


@contextmanager
def _decoder() -> Iterator[Decoder]:
    """A decoder, whose errors become those of the call."""
    try:
        with closing(Decoder()) as decoder:
            yield decoder
    except input_images.InputImageError as error:
        raise ApiError(422, str(error)) from None
    except DecoderUnavailableError as error:
        message = f"{error} Try again in {DECODER_RETRY_SECONDS} seconds."
        raise ApiError(503, message, {"Retry-After": str(DECODER_RETRY_SECONDS)}) from None
