"""Run a LoRA through fal's queue by one POST, and download the picture (docs/provider-fal.md, 10)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from finetune_portal.providers.contract import GenerateRequest, Handle, OnAccepted
from finetune_portal.providers.errors import CallError, ConnectionLostError, RequestRejectedError
from finetune_portal.providers.fal.client import Client
from finetune_portal.providers.fal.errors import failure_of
from finetune_portal.providers.fal.handles import handle_of
from finetune_portal.providers.fal.jobs import COMPLETED, Jobs
from finetune_portal.providers.fal.results import file_of
from finetune_portal.providers.fal.storage import Storage, lifecycle
from finetune_portal.providers.fal.trainers import known
from finetune_portal.providers.http.answer import Answer
from finetune_portal.providers.http.files import Files
from finetune_portal.providers.http.image_format import image_format
from finetune_portal.providers.http.json_body import missing
from finetune_portal.providers.http.paid_run import check_numbers, paid, picture_at, wait_for
from finetune_portal.providers.http.values import text

KEEP = timedelta(days=1)
NO_MODEL = "No model of fal that this version knows runs a LoRA of this trainer, so nothing was sent."
TOO_SLOW = "fal did not finish the picture within 5 minutes, so the portal asked it to stop."
HELD_BACK = "fal made the picture and its safety check held it back."


class Inference:
    def __init__(self, client: Client) -> None:
        self._client, self._jobs = client, Jobs(client)

    def put_image(self, image: bytes) -> str:
        kind = image_format(image) or "png"
        name, content_type = f"input.{kind}", f"image/{kind}"
        stored = Storage(self._client).put(name, content_type, io.BytesIO(image), len(image), KEEP)
        return stored.address

    def generate(self, request: GenerateRequest, on_accepted: OnAccepted | None = None) -> bytes:
        """Return the picture. Whatever fails after the model was accepted, may have been charged."""
        model, body = _body(request)
        answer = self._client.call(
            "POST",
            f"{self._client.queue}/{model}",
            json=body,
            headers={"X-Fal-Object-Lifecycle-Preference": lifecycle(KEEP)},
        )
        with paid():
            handle = handle_of(
                self._client.queue, model, answer.json(), answer.headers.get("x-fal-request-id", "")
            )
            if handle is None:
                raise missing("an id")
            if on_accepted is not None:
                on_accepted(handle)
            output = wait_for(lambda: self._ask(handle), self._client.max_seconds)
            if output is None:
                with suppress(CallError):
                    self._jobs.cancel(handle)
                raise ConnectionLostError(TOO_SLOW)
            return self._picture_in(output)

    def _ask(self, handle: Handle) -> dict[str, Any] | None:
        """The output of a run that has ended."""
        payload = self._jobs.status(handle)
        is_completed = text(payload.get("status")) == COMPLETED
        return self._output(payload, self._jobs.result(handle)) if is_completed else None

    def _output(self, payload: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
        error, error_type = text(payload.get("error")), text(payload.get("error_type"))
        if not error and not error_type:
            self._jobs.check_is_of_the_job(answer)
            if answer.is_ok:
                return answer.json()
        words = failure_of(answer.content, error, error_type, self._client.keys)
        raise RequestRejectedError(words, status=answer.status)

    def _picture_in(self, output: Mapping[str, Any]) -> bytes:
        images, held_back = output.get("images"), output.get("has_nsfw_concepts")
        if isinstance(held_back, list) and held_back[:1] == [True]:
            raise RequestRejectedError(HELD_BACK)
        file = file_of("sample", images[0] if isinstance(images, list) and images else None)
        if file is None:
            raise missing("a picture")
        files = Files(self._client.cdn, self._client.dial, self._client.max_seconds)
        return picture_at(file.address, files, "fal")


def _body(request: GenerateRequest) -> tuple[str, dict[str, Any]]:
    """The model and its input. Raises RequestRejectedError for what fal would find wrong only later."""
    trainer = known(request.trainer)
    if not trainer.trainer.model:
        raise RequestRejectedError(NO_MODEL)
    count = len(request.inputs)
    if not 1 <= count <= trainer.most_images:
        raise RequestRejectedError(f"This model takes from 1 to {trainer.most_images} input images.")
    check_numbers(request, trainer.trainer.generates)
    images = request.inputs[0] if trainer.image_field == "image_url" else list(request.inputs)
    optional = {
        "seed": request.seed,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance,
    }
    return trainer.trainer.model, {
        "prompt": request.prompt,
        trainer.image_field: images,
        "loras": [{"path": request.weights, "scale": request.strength}],
        "num_images": 1,
        "output_format": "png",
        **{name: value for name, value in optional.items() if value is not None},
    }
