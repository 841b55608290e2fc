"""Rows of the table as HTML, each rendered once for each state it is in, whoever looks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db.models import F, QuerySet
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from finetune_portal.accounts.models import User
from finetune_portal.jobs import access
from finetune_portal.jobs.models import Job

NO_TOKEN = "csrf-token-of-the-viewer"  # nosec B105  # stands where the viewer's own token goes
KEPT_SECONDS = 3600
INDENT = re.compile(r"\n\s+")  # a third of a row


def outlines(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """No more of each job than tells whether its row is kept, and where it stands in an order."""
    bare = jobs.select_related(None).only("name", "updated_at", "owner")
    return bare.annotate(
        owner_name=F("owner__name"),
        dataset_changed=F("dataset__updated_at"),
        training_percent=F("training__percent"),
    )


def with_training(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Without its curves, which no row shows."""
    return jobs.select_related("training").defer(
        "training__losses", "training__held_out", "training__samples"
    )


def rows(jobs: Iterable[Any], *, user: User, token: str) -> SafeString:
    """The rows of these outlines; whole jobs are read only where no row is kept. `token` is never kept."""
    may_change = access.right_to_change(user)
    keys = {
        job.pk: _key(job, may_change(job), job.dataset_changed, job.owner_name, job.training_percent)
        for job in jobs
    }
    kept = cache.get_many(keys.values())
    missing = [pk for pk, key in keys.items() if key not in kept]
    whole = with_training(access.visible(user)).defer("dataset__verdict", "provider_data")
    for job in whole.filter(pk__in=missing) if missing else ():
        kept[keys[job.pk]] = row(job, may_change=may_change(job))
    html = "".join(kept.get(key, "") for key in keys.values())
    return mark_safe(html.replace(NO_TOKEN, token))  # nosec B308  # our own template's output


def row(job: Job, *, may_change: bool) -> str:
    """The row with NO_TOKEN in the place of a token, for those who post without scripts."""
    dataset, owner, training = job.dataset, job.owner, job.training_or_none
    key = _key(
        job,
        may_change,
        dataset.updated_at if dataset else None,
        owner.name if owner else None,
        training.percent if training else None,
    )
    html = cache.get(key)
    if html is None:
        context = {"job": job, "may_change": may_change, "csrf_token": NO_TOKEN}
        html = INDENT.sub("\n", render_to_string("jobs/_row.html", context).strip())
        cache.set(key, html, KEPT_SECONDS)
    return str(html)


def _key(
    job: Job, may_change: bool, dataset: datetime | None, owner: str | None, percent: float | None
) -> str:
    return f"row-{job.pk}-{hash((job.updated_at, may_change, dataset, owner, percent))}"
