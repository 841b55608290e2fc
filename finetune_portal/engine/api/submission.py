"""Read the fields of a submit into a new job, or refuse them in a sentence that names the field."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from finetune_portal.engine.api.endpoint import ApiError, Fields, boolean, number, one_of, text
from finetune_portal.engine.models import Job
from finetune_portal.engine.trainers import parameters
from finetune_portal.engine.trainers.current import current_trainer
from finetune_portal.engine.trainers.trainer import KONTEXT, find_model

MAX_STEPS = 20_000
FLUX = "FLUX"
# The values of the sample in docs/provider-api.md, 1, for a call that brings no advance_parameters.
DEFAULT_STEPS = 300
DEFAULT_LEARNING_RATE = 0.0004


def new_job(fields: Fields) -> Job:
    """The job that a submit asks for, not saved. Fields that the engine does not know are ignored."""
    base_model = _base_model(fields)
    one_of(fields, "train_type", only="LORA")
    one_of(fields, "machine_type", only="NVIDIA_H100")
    if text(fields, "base_model", longest=100).upper() == FLUX:
        one_of(fields, "theme", only="KONTEXT")
    advanced = _advance_parameters(fields)
    steps = _steps(advanced)
    return Job(
        name=text(fields, "name", longest=200),
        data_source_path=url(fields, "data_source_path"),
        instance_prompt=text(fields, "instance_prompt", longest=5000, needed=False),
        is_public=boolean(fields, "segmind_public", default=False),
        base_model=base_model,
        steps=steps,
        learning_rate=_learning_rate(advanced),
        parameters=_parameters(advanced, base_model),
        price=steps * settings.PRICE_PER_STEP,
    )


def _advance_parameters(fields: Fields) -> Fields:
    value = fields.get("advance_parameters") or {}
    if isinstance(value, str):  # a form cannot hold an object
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise ApiError(422, "advance_parameters must be an object.")
    return value


def _steps(advanced: Fields) -> int:
    steps = number(advanced, "steps", DEFAULT_STEPS)
    if not (1 <= steps <= MAX_STEPS and steps == int(steps)):
        raise ApiError(422, f"steps must be a whole number from 1 to {MAX_STEPS}.")
    return int(steps)


def _learning_rate(advanced: Fields) -> float:
    learning_rate = number(advanced, "learning_rate", DEFAULT_LEARNING_RATE)
    if not 0 < learning_rate <= 1:
        raise ApiError(422, "learning_rate must be above 0 and at most 1.")
    return learning_rate


def _base_model(fields: Fields) -> str:
    """The id of the base model that is named; empty for FLUX.1 Kontext, which the vendor's API calls FLUX."""
    ids = [each.variant.id for each in current_trainer().models] or [KONTEXT]
    named = text(fields, "base_model", longest=100).lower()
    if KONTEXT in ids and named in (KONTEXT, FLUX.lower()):
        return ""
    if named not in ids:
        words = [FLUX] * (KONTEXT in ids) + [each for each in ids if each != KONTEXT]
        raise ApiError(422, f"base_model must be {', or '.join(words)}.")
    return named


def _parameters(advanced: Fields, base_model: str) -> dict[str, Any]:
    model = find_model(current_trainer().models, base_model)
    try:
        return parameters.read(advanced, model.parameters if model else parameters.KNOWN)
    except parameters.ParameterError as error:
        raise ApiError(422, str(error)) from None


def url(fields: Fields, name: str) -> str:
    value = text(fields, name, longest=2000)
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or any(character.isspace() for character in value):
        raise ApiError(422, f"{name} must be an http or https URL of a ZIP file.")
    return value
