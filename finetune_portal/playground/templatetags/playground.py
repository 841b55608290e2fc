"""The playground as part of a job's page; the jobs app does not import this one."""

from __future__ import annotations

from typing import Any

from django import template

from finetune_portal.jobs.models import Job
from finetune_portal.playground import access, panel

register = template.Library()


@register.inclusion_tag("playground/_job_panel.html", takes_context=True)
def try_it(context: dict[str, Any], job: Job) -> dict[str, Any]:
    """The playground of a trained job; nothing for others."""
    request, user = context["request"], context["user"]
    if not access.is_trained(job):
        return {}
    return {**panel.context(user, job, request.GET), "user": user, "request": request}
