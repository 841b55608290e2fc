"""The playground as part of a job's page; the jobs app does not import this one."""

from __future__ import annotations

from typing import Any

from django import template

from finetune_portal.jobs.models import Job
from finetune_portal.playground import access, panel

register = template.Library()


@register.filter
def can_try(job: Job) -> bool:
    """Whether the job's page has a playground: its model can be run, or was run before."""
    return access.can_run(job) or (access.is_trained(job) and access.was_run(job))


@register.filter
def can_try_any(jobs: list[Job]) -> bool:
    return any(access.can_run(job) for job in jobs)


@register.inclusion_tag("playground/_job_panel.html", takes_context=True)
def try_it(context: dict[str, Any], job: Job) -> dict[str, Any]:
    """The playground of a job whose model can be tried; nothing for others."""
    request, user = context["request"], context["user"]
    if not can_try(job):
        return {}
    return {**panel.context(user, job, request.GET), "user": user, "request": request}
