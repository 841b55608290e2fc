"""What a drop zone hands to its scripts, and the form of a repair."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import json_script
from django.utils.safestring import SafeString

from finetune_portal.datasets import checker
from finetune_portal.datasets.forms import RepairForm
from finetune_portal.datasets.models import Dataset

register = template.Library()


@register.simple_tag
def accepted_files() -> SafeString:
    """What a dataset may hold, as JSON for accepted.js."""
    return json_script(checker.accepted_files(), "accepted-files")


@register.simple_tag(takes_context=True)
def repair_form(context: Any, dataset: Dataset) -> RepairForm:
    """The form that came back with errors, or an empty one."""
    form = context.get("repair_form")
    return form if isinstance(form, RepairForm) else RepairForm(dataset=dataset)
