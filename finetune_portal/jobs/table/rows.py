"""Rows of the table as HTML, each rendered once and cached for all viewers with the same rights."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.cache import caches
from django.db.models import F, QuerySet
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from finetune_portal.accounts.models import User
from finetune_portal.jobs import access
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.shown import ROW_RELATIONS, with_shown

TOKEN_PLACEHOLDER = "csrf-token-of-the-viewer"  # nosec B105  # replaced by the viewer's own token
CACHE_SECONDS = 3600
PENDING_SECONDS = 5  # with a preview that the worker still makes, or that nobody can make
INDENT = re.compile(r"\n\s+")  # a third of a row


def row_keys(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Select only what finds the cached row of a job, and what the orders sort by."""
    keys = jobs.select_related(None).only("name", "updated_at", "owner")
    return keys.annotate(
        owner_name=F("owner__name"),
        project_name=F("project__name"),
        dataset_changed=F("dataset__updated_at"),
        training_changed=F("training__updated_at"),
        is_closed=F("connection__is_training_closed"),
    )


def with_training(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Join the training without its curves and log, which no row shows, and what higher apps show."""
    return (
        with_shown(jobs)
        .prefetch_related(*ROW_RELATIONS)
        .select_related("training")
        .defer(
            "training__losses",
            "training__held_out",
            "training__held_out_weighted",
            "training__log",
        )
    )


def render_rows(jobs: Iterable[Any], *, user: User, token: str) -> SafeString:
    """Render the rows of these keys. A job is read only if its row is not cached; `token` never is."""
    may_change = access.right_to_change(user)
    keys = {
        job.pk: _cache_key(
            job,
            may_change(job),
            job.dataset_changed,
            (job.owner_name, job.project_name),
            (job.training_changed, job.is_closed),
        )
        for job in jobs
    }
    cached = caches["process"].get_many(keys.values())
    missing = [pk for pk, key in keys.items() if key not in cached]
    jobs_to_read = (
        with_training(access.visible(user))
        .select_related("connection")
        .defer("dataset__verdict", "provider_data")
    )
    for job in jobs_to_read.filter(pk__in=missing) if missing else ():
        cached[keys[job.pk]] = render_row(job, may_change=may_change(job))
    html = "".join(cached.get(key, "") for key in keys.values())
    return mark_safe(html.replace(TOKEN_PLACEHOLDER, token))  # nosec B308  # the output of our own template


def render_row(job: Job, *, may_change: bool) -> str:
    """Render a row with TOKEN_PLACEHOLDER as the CSRF token of its forms."""
    dataset, owner, training = job.dataset, job.owner, job.training_or_none
    key = _cache_key(
        job,
        may_change,
        dataset.updated_at if dataset else None,
        (owner.name if owner else None, job.project.name if job.project else None),
        (training.updated_at if training else None, job.connection.is_training_closed),
    )
    html = caches["process"].get(key)
    if html is None:
        context = {"job": job, "may_change": may_change, "csrf_token": TOKEN_PLACEHOLDER}
        html = INDENT.sub("\n", render_to_string("jobs/_row.html", context).strip())
        seconds = PENDING_SECONDS if "data-pending" in html else CACHE_SECONDS
        caches["process"].set(key, html, seconds)
    return str(html)


def _cache_key(
    job: Job,
    may_change: bool,
    dataset: datetime | None,
    names: tuple[str | None, ...],
    state: tuple[datetime | None, bool],
) -> str:
    """`names` and `state` are what the row shows of other rows, which may change without the job."""
    return f"row-{job.pk}-{hash((job.updated_at, may_change, dataset, names, state))}"
