"""What a drop zone hands to its scripts, the images of pairs, and the form of a repair."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import json_script
from django.utils.safestring import SafeString

from finetune_portal.datasets import checker
from finetune_portal.datasets.forms import RepairForm
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.pair_images import further_places_of
from finetune_portal.datasets.preview_images import preview_of_pair

register = template.Library()


@register.simple_tag
def accepted_files() -> SafeString:
    """What a dataset may hold, as JSON for accepted.js."""
    return json_script(checker.accepted_files(), "accepted-files")


@register.simple_tag
def pair_preview(dataset: Dataset, number: int, place: str, edge: str) -> SafeString:
    """The attributes of an image that shows one of a pair."""
    return preview_of_pair(dataset, number, place, edge).attributes


@register.simple_tag
def further_inputs(dataset: Dataset, number: int) -> list[str]:
    """The places of the input images of a pair beside the first. `number` counts the pairs from 0."""
    return further_places_of(dataset.pairs[number])


@register.simple_tag(takes_context=True)
def repair_form(context: Any, dataset: Dataset) -> RepairForm:
    """The form that came back with errors, or an empty one."""
    form = context.get("repair_form")
    return form if isinstance(form, RepairForm) else RepairForm(dataset=dataset)
