"""The playground as part of a job's page; the jobs app does not import this one."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from finetune_portal.connections import trainers
from finetune_portal.jobs.models import Job
from finetune_portal.playground import access, panel
from finetune_portal.playground.input_choices import preview_of
from finetune_portal.playground.models import Generation, Input
from finetune_portal.playground.results import EDGES

register = template.Library()


@register.filter
def can_try(job: Job) -> bool:
    """Whether the job's page has a playground: its model can be run, or was run before."""
    return access.can_run(job) or (access.is_trained(job) and access.was_run(job))


@register.filter
def can_try_any(jobs: list[Job]) -> bool:
    return any(access.can_run(job) for job in jobs)


@register.filter
def base_model(job: Job) -> str:
    return trainers.base_model_of(job.trainer)


@register.filter
def latest_result(job: Job) -> Generation | None:
    """The newest picture that the model of this job made. `rows.with_training` has read it."""
    return next(iter(job.latest_results), None)  # type: ignore[attr-defined]


@register.simple_tag
def preview(source: Generation | Input, edge: str) -> SafeString:
    """The attributes of an image that shows a result or an input."""
    return preview_of(source, edge).attributes


@register.simple_tag
def sharp_preview(result: Generation) -> SafeString:
    """The same of a result that is shown large. Once it is made, sharp screens get the large preview."""
    small, large = preview_of(result, "small"), preview_of(result, "large")
    if small.is_pending or large.is_pending:
        return small.attributes
    srcset = format_html(' srcset="{} {}w, {} {}w"', small.url, EDGES["small"], large.url, EDGES["large"])
    return small.attributes + srcset


@register.inclusion_tag("playground/_results.html", takes_context=True)
def results(context: dict[str, Any], job: Job) -> dict[str, Any]:
    """What the model of a ready job makes, and its file."""
    return {**panel.results(context["user"], job), "user": context["user"]}


@register.inclusion_tag("playground/_job_panel.html", takes_context=True)
def try_it(context: dict[str, Any], job: Job) -> dict[str, Any]:
    """The playground of a job whose model can be tried; nothing for others."""
    request, user = context["request"], context["user"]
    if not can_try(job):
        return {}
    return {**panel.context(user, job, request.GET), "user": user, "request": request}
