"""The fields of the job form that select a dataset, a connection and a trainer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.forms.models import ModelChoiceIterator

from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.web.templatetags.portal import credits_text


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


class ConnectionField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not generic at run time
    """Connections with the balance of their account, where it is known."""

    def label_from_instance(self, obj: Connection) -> str:
        if obj.is_free:
            work = "trains on your own hardware" if obj.is_training_real else "only simulates"
            return f"{obj}: {work}, free of charge"
        return f"{obj}: {credits_text(obj.credits)} credits" if obj.credits is not None else str(obj)
