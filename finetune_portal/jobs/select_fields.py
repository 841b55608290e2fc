"""The fields of the job form that select a dataset, a connection and a trainer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.forms.models import ModelChoiceIterator
from django.urls import reverse

from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.providers.contract import Availability, Trainer
from finetune_portal.web.templatetags.portal import credits_text

CLOSED, NOT_KNOWN = ": takes no new jobs", ": not known to this version"


class DatasetSelect(forms.Select):
    """Options with the moment at which their label ends, which static/js/times.js shows in local time."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(name, value, *args, **kwargs)
        if dataset := getattr(value, "instance", None):
            option["attrs"]["data-datetime"] = dataset.created_at.isoformat()
        return option


class DatasetIterator(ModelChoiceIterator):
    """Complete datasets, then unfinished uploads as a group of their own."""

    def __iter__(self) -> Iterator[Any]:
        rows = list(self.queryset)
        yield "", self.field.empty_label
        yield from (self.choice(row) for row in rows if row.state != Dataset.State.RECEIVING)
        unfinished = [self.choice(row) for row in rows if row.state == Dataset.State.RECEIVING]
        if unfinished:
            yield "Unfinished uploads", unfinished


class DatasetField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not generic at run time
    """Datasets with what tells them from others of the same name."""

    iterator = DatasetIterator
    widget = DatasetSelect

    def label_from_instance(self, obj: Dataset) -> str:
        return obj.choice_label


class ConnectionRadios(forms.RadioSelect):
    """Radio buttons, each described by what is known of its provider's closing. They swap the parameters."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(name, value, *args, **kwargs)
        option["attrs"] |= {
            "aria-describedby": f"closing-{value}",
            "hx-get": reverse("jobs:parameters"),
            "hx-trigger": "change",
            "hx-include": "#advanced, #id_steps, #id_dataset",
            "hx-target": "#advanced",
            "hx-swap": "outerHTML",
            "hx-sync": "closest [role=radiogroup]:replace",
            "data-taken-back": True,
            "data-if-failed": "The connection stays as it was.",
        }
        return option


class TrainerSelect(forms.Select):
    """What a connection can train, and what it takes no jobs for. A change swaps the parameters."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        swap = {
            "hx-get": reverse("jobs:parameters"),
            "hx-trigger": "change",
            "hx-include": "#advanced, #id_steps, #id_dataset, [name=connection]:checked",
            "hx-target": "#advanced",
            "hx-swap": "outerHTML",
            "hx-sync": "this:replace",
            "data-taken-back": True,
            "data-if-failed": "What to train stays as it was.",
        }
        return super().get_context(name, value, {**swap, **(attrs or {})})

    def create_option(self, name: str, value: Any, label: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(name, value, label, *args, **kwargs)
        if str(label).endswith((CLOSED, NOT_KNOWN)):
            option["attrs"]["disabled"] = True
        return option


def trainer_choices(trainers: Iterable[Trainer]) -> list[tuple[str, str]]:
    return [(each.id, _trainer_label(each)) for each in trainers]


def _trainer_label(trainer: Trainer) -> str:
    if not trainer.is_known:
        return f"{trainer.title}{NOT_KNOWN}"
    return f"{trainer.title}{CLOSED}" if trainer.availability is Availability.CLOSED else trainer.title


class ConnectionField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not generic at run time
    """Connections with the balance of their account, where it is known."""

    def label_from_instance(self, obj: Connection) -> str:
        if obj.is_free:
            work = "trains on your own hardware" if obj.is_training_real else "only simulates"
            return f"{obj}: {work}, free of charge"
        return f"{obj}: {credits_text(obj.credits)} credits" if obj.credits is not None else str(obj)
