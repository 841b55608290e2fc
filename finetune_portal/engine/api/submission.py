"""Reads the fields of a submit into a new job, or refuses them in a sentence that names the field."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from finetune_portal.engine.api.calls import Fields, Refused, boolean, number, one_of, text
from finetune_portal.engine.models import Job
from finetune_portal.engine.trainers import parameters

MOST_STEPS = 20_000
# The values of the sample in docs/provider-api.md, 1, for a call that brings no advance_parameters.
USUAL_STEPS = 300
USUAL_LEARNING_RATE = 0.0004


def new_job(fields: Fields) -> Job:
    """The job that a submit asks for, not saved. Fields that this engine does not know are let pass."""
    one_of(fields, "base_model", only="FLUX")
    one_of(fields, "train_type", only="LORA")
    one_of(fields, "machine_type", only="NVIDIA_H100")
    one_of(fields, "theme", only="KONTEXT")
    advanced = _advance_parameters(fields)
    steps = _steps(advanced)
    return Job(
        name=text(fields, "name", longest=200),
        data_source_path=url(fields, "data_source_path"),
        instance_prompt=text(fields, "instance_prompt", longest=5000, needed=False),
        public=boolean(fields, "segmind_public", default=False),
        steps=steps,
        learning_rate=_learning_rate(advanced),
        parameters=_parameters(advanced),
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
        raise Refused(422, "advance_parameters must be an object.")
    return value


def _steps(advanced: Fields) -> int:
    steps = number(advanced, "steps", USUAL_STEPS)
    if not (1 <= steps <= MOST_STEPS and steps == int(steps)):
        raise Refused(422, f"steps must be a whole number from 1 to {MOST_STEPS}.")
    return int(steps)


def _learning_rate(advanced: Fields) -> float:
    rate = number(advanced, "learning_rate", USUAL_LEARNING_RATE)
    if not 0 < rate <= 1:
        raise Refused(422, "learning_rate must be above 0 and at most 1.")
    return rate


def _parameters(advanced: Fields) -> dict[str, Any]:
    try:
        return parameters.read(advanced)
    except parameters.BadParameter as wrong:
        raise Refused(422, str(wrong)) from None


def url(fields: Fields, name: str) -> str:
    value = text(fields, name, longest=2000)
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or any(character.isspace() for character in value):
        raise Refused(422, f"{name} must be an http or https URL of a ZIP file.")
    return value
