"""Save and delete presets: learning rate and steps under a name."""

from __future__ import annotations

from django.db import transaction

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.jobs.models import Preset


def save_preset(owner: User, name: str, *, learning_rate: float, steps: int) -> Preset:
    with transaction.atomic():
        preset = Preset.objects.create(owner=owner, name=name, learning_rate=learning_rate, steps=steps)
        record(owner, "preset.keep", preset, name=name)
    return preset


def delete_preset(preset: Preset, *, actor: User) -> None:
    with transaction.atomic():
        record(actor, "preset.drop", preset, name=preset.name)
        preset.delete()
