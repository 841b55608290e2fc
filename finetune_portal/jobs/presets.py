"""Save and delete presets: learning rate, steps and further parameters under a name."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.jobs.models import Preset


class NameTakenError(Exception):
    """A preset with this name exists."""


def save_preset(
    owner: User, name: str, *, learning_rate: float, steps: int, parameters: dict[str, Any]
) -> Preset:
    """Raise NameTakenError, also where somebody saves one with this name at the same time."""
    try:
        with transaction.atomic():
            preset = Preset.objects.create(
                owner=owner, name=name, learning_rate=learning_rate, steps=steps, parameters=parameters
            )
            record(owner, "preset.keep", preset, name=name)
    except IntegrityError:
        raise NameTakenError from None
    return preset


def delete_preset(preset: Preset, *, actor: User) -> None:
    with transaction.atomic():
        record(actor, "preset.drop", preset, name=preset.name)
        preset.delete()
