"""What a deletion takes along."""

from __future__ import annotations

from django import template

from finetune_portal.deletion import services
from finetune_portal.projects.models import Project

register = template.Library()


@register.simple_tag
def contents_of(project: Project) -> services.Contents:
    """What would go with a project that is deleted."""
    return services.contents_of(project)
