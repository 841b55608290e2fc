"""Run a LoRA by one POST, and download the picture (docs/provider-replicate.md, 10)."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

from finetune_portal.providers.contract import GenerateRequest, Handle, Phase
from finetune_portal.providers.errors import CallError, ConnectionLostError, RequestRejectedError
from finetune_portal.providers.http.files import Files
from finetune_portal.providers.http.image_format import image_format
from finetune_portal.providers.http.json_body import missing
from finetune_portal.providers.http.paid_run import check_numbers, paid, picture_at, wait_for
from finetune_portal.providers.http.values import text
from finetune_portal.providers.replicate.client import Client
from finetune_portal.providers.replicate.jobs import PHASES, Jobs
from finetune_portal.providers.replicate.results import handle_of, picture_in
from finetune_portal.providers.replicate.storage import Storage
from finetune_portal.providers.replicate.trainers import ReplicateTrainer, known

TOO_SLOW = "Replicate did not finish the picture within 5 minutes, so the portal asked it to stop."


class Inference:
    def __init__(self, client: Client) -> None:
        self._client, self._jobs = client, Jobs(client)

    def put_image(self, image: bytes) -> str:
        kind = image_format(image) or "png"
        stored = Storage(self._client).put(f"input.{kind}", f"image/{kind}", io.BytesIO(image), len(image))
        return stored.address

    def generate(self, request: GenerateRequest) -> bytes:
        """Return the picture. Whatever fails after the model was accepted, may have been charged."""
        trainer = known(request.trainer)
        runner = trainer.runner
        url = f"{self._client.api}/models/{runner.model}/predictions"
        answer = self._client.call("POST", url, json={"input": _input(trainer, request)})
        with paid():
            handle = handle_of(self._client.api, answer.json(), is_training=False)
            if handle is None:
                raise missing("an id")
            payload = wait_for(lambda: self._ended(handle), self._client.max_seconds)
            if payload is None:
                with suppress(CallError):
                    self._jobs.cancel(handle)
                raise ConnectionLostError(TOO_SLOW)
            address = picture_in(payload.get("output"))
            if not address:
                raise missing("a picture")
            files = Files(self._client.api, self._client.dial, self._client.max_seconds)
            return picture_at(address, files, "Replicate")

    def _ended(self, handle: Handle) -> dict[str, Any] | None:
        """The object of a run that has succeeded; None while it goes on."""
        payload = self._jobs.fetch(handle)
        phase = PHASES.get(text(payload.get("status")))
        if phase in (Phase.FAILED, Phase.CANCELLED):
            raise RequestRejectedError(self._jobs.failure_of(payload))
        return payload if phase is Phase.AVAILABLE else None


def _input(trainer: ReplicateTrainer, request: GenerateRequest) -> dict[str, Any]:
    """The input of the model. Raises RequestRejectedError for what it does not take."""
    runner = trainer.runner
    if not 1 <= len(request.inputs) <= runner.most_images:
        raise RequestRejectedError(f"This model takes from 1 to {runner.most_images} input images.")
    check_numbers(request, trainer.trainer.generates)
    wanted = {"seed": request.seed, "steps": request.steps, "guidance": request.guidance}
    given = {name: value for name, value in wanted.items() if value is not None}
    if unknown := given.keys() - runner.optional.keys():
        raise RequestRejectedError(f"This model takes no {min(unknown)}, so nothing was sent.")
    return {
        "prompt": request.prompt,
        runner.image_field: list(request.inputs) if runner.most_images > 1 else request.inputs[0],
        "lora_weights": request.weights,
        runner.strength_field: request.strength,
        **runner.fixed,
        **{runner.optional[name]: value for name, value in given.items()},
    }
