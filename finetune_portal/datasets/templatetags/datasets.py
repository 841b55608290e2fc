"""What a drop zone hands to its scripts."""

from __future__ import annotations

from django import template
from django.utils.html import json_script
from django.utils.safestring import SafeString

from finetune_portal.datasets import checker

register = template.Library()


@register.simple_tag
def accepted_files() -> SafeString:
    """What a dataset may hold, as JSON for accepted.js."""
    return json_script(checker.accepted_files(), "accepted-files")
