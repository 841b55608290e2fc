"""The playground as a part of a page of the jobs, which know nothing of it."""

from __future__ import annotations

from typing import Any

from django import template

from finetune_portal.jobs.models import Job
from finetune_portal.playground import access, panel

register = template.Library()


@register.inclusion_tag("playground/_job_panel.html", takes_context=True)
def try_it(context: dict[str, Any], job: Job) -> dict[str, Any]:
    """The playground of this job, once it is trained."""
    request, user = context["request"], context["user"]
    if not access.is_trained(job):
        return {}
    return {**panel.context(user, job, request.GET), "user": user, "request": request}
