"""Where the copy of a model file is, for the badge and the page of a job; jobs does not import this app."""

from __future__ import annotations

from django import template

from finetune_portal.registry.copy_state import copy_state

register = template.Library()
register.filter(copy_state)
