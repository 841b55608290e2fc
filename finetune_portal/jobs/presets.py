"""Save and delete presets: learning rate, steps and further parameters under a name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record, redact_parts
from finetune_portal.jobs import access
from finetune_portal.jobs.choices import BUILT_IN_PRESETS, BuiltInPreset
from finetune_portal.jobs.expected import Expected
from finetune_portal.jobs.models import Preset
from finetune_portal.projects import services as projects
from finetune_portal.projects.models import Project


class NameTakenError(Exception):
    """A preset with this name exists."""


@dataclass(frozen=True)
class PresetCard:
    """A preset in the form, with what a job of it takes, as far as that is known."""

    preset: Preset | BuiltInPreset
    expected: Expected = field(default_factory=Expected)

    @property
    def html_id(self) -> str:
        return f"preset-{self.preset.key if isinstance(self.preset, BuiltInPreset) else self.preset.pk}"


def cards(user: User) -> list[PresetCard]:
    """Those of every installation, then those that somebody saved. One query."""
    built_in = [PresetCard(each) for each in BUILT_IN_PRESETS]
    return built_in + [PresetCard(each) for each in access.presets(user)]


def save_preset(
    owner: User,
    name: str,
    *,
    project: Project | None,
    learning_rate: float,
    steps: int,
    parameters: dict[str, Any],
) -> Preset:
    """Raise NameTakenError, also where somebody saves one with this name at the same time.

    Raises ActionError where the project was deleted meanwhile.
    """
    fields = {"learning_rate": learning_rate, "steps": steps, "parameters": parameters}
    try:
        with transaction.atomic():
            of = _locked_name(project)
            preset = Preset.objects.create(owner=owner, project=project, name=name, **fields)
            record(owner, "preset.keep", preset, name=name, **of)
    except IntegrityError:
        raise NameTakenError from None
    return preset


def delete_preset(preset: Preset, *, actor: User) -> None:
    """Raises ActionError where its project was deleted meanwhile, and the preset with it."""
    with transaction.atomic():
        of = _locked_name(preset.project)
        record(actor, "preset.drop", preset, name=preset.name, **of)
        preset.delete()


def forget_project(project: Project, names: Iterable[str]) -> None:
    """Delete the presets of a project that is deleted and locked, and what the record says of any of them.

    `names`: all that the project has had.
    """
    redact_parts(("preset.keep", "preset.drop"), "of", names)
    project.presets.all().delete()


def _locked_name(project: Project | None) -> dict[str, str]:
    """The project in the audit record. It is locked: once it is deleted, no entry names it."""
    return {"of": projects.lock(project).name} if project else {}
