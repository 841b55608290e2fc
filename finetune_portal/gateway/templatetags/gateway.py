"""The API as part of a job's page; the jobs app does not import this one."""

from __future__ import annotations

from typing import Any

from django import template

from finetune_portal.gateway import snippets
from finetune_portal.gateway.endpoints import base_url
from finetune_portal.jobs.models import Job
from finetune_portal.playground import access

register = template.Library()


@register.inclusion_tag("gateway/_run_snippets.html", takes_context=True)
def run_snippets(context: dict[str, Any], job: Job) -> dict[str, Any]:
    """How to run the model of a job by the API; nothing for a model that cannot be run."""
    shown = snippets.run_snippets(job, base_url(context["request"]))
    return {"run_snippets": shown, "paid": access.price_of(job.connection) if shown else ""}
