"""The fields of a run under the names of the vendor's API, checked by the form of the playground."""

from __future__ import annotations

import uuid
from typing import Any

from finetune_portal.gateway.api_call import ApiError, Fields, text
from finetune_portal.gateway.forms import plain_number
from finetune_portal.jobs.models import Job
from finetune_portal.playground import bounds, choices
from finetune_portal.playground.forms import GenerationForm
from finetune_portal.playground.models import Generation

NAMES = {  # of the form's fields, in a call
    "prompt": "prompt",
    "strength": "lora_strength",
    "seed": "seed",
    "steps": "num_inference_steps",
    "guidance": "guidance",
}
INPUT = "input_image"
ONLY = {"aspect_ratio": "match_input_image", "output_format": "png"}  # what the portal asks for
KNOWN = {*NAMES.values(), INPUT, *ONLY}


class RunForm(GenerationForm):
    """All numbers may be left out. The picture comes apart from the form."""

    def __init__(self, fields: Fields, job: Job) -> None:
        data = {form_name: plain_number(fields.get(name)) for form_name, name in NAMES.items()}
        data["form_key"] = str(uuid.uuid4())
        data["strength"] = data["strength"] or str(choices.STRENGTH)
        super().__init__(data, offered=[], jobs=[job])
        for name in ("steps", "guidance"):
            if name in self.fields:
                self._leave_to_the_model(self.fields[name])

    def _check_picture(self, cleaned: dict[str, Any]) -> None:
        """It is the call's `input_image`."""


def checked_settings(fields: Fields, job: Job) -> dict[str, Any]:
    """The settings of a generation, with a random seed where none is given. Raises ApiError."""
    unknown = sorted(fields.keys() - KNOWN)
    if unknown:
        raise ApiError(
            422, f"{unknown[0][:100]}: there is no such field. There are: {', '.join(sorted(KNOWN))}."
        )
    for name, only in ONLY.items():
        if fields.get(name) not in (None, "", only):
            raise ApiError(422, f"{name} must be {only}, or be left out.")
    text(fields, "prompt")
    taken = bounds.taken_by(job)
    for form_name in ("steps", "guidance"):
        if form_name not in taken and fields.get(NAMES[form_name]) not in (None, ""):
            raise ApiError(422, f"{NAMES[form_name]}: this model takes none.")
    form = RunForm(fields, job)
    if not form.is_valid():
        errors = ((NAMES.get(name, name), " ".join(map(str, each))) for name, each in form.errors.items())
        raise ApiError(422, " ".join(f"{name}: {sentence}" for name, sentence in errors))
    return form.settings


def is_same(generation: Generation, settings: dict[str, Any], fields: Fields) -> bool:
    """Whether a call asks for what the generation is. A seed that the call leaves out may be any."""
    names = set(settings) - (set() if has_seed(fields) else {"seed"})
    taken = bounds.taken_by(generation.job)
    return all(
        getattr(generation, name) == settings[name]
        for name in names
        if name in taken or name in ("prompt", "seed", "strength")
    )


def has_seed(fields: Fields) -> bool:
    return fields.get("seed") not in (None, "")
