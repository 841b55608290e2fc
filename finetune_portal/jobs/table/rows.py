"""Rows of the table and cards of the grid as HTML, each rendered once for all with the same rights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
from finetune_portal.jobs.table.sweeps import Sweep

TOKEN_PLACEHOLDER = "csrf-token-of-the-viewer"  # nosec B105  # replaced by the viewer's own token
CACHE_SECONDS = 3600
PENDING_SECONDS = 5  # with a preview that the worker still makes, or that nobody can make
INDENT = re.compile(r"\n\s+")  # a third of a row


@dataclass(frozen=True)
class Row:
    """A row of the page: that of a job, on its own or under its sweep, or that of a sweep; or a job's card.

    `key` finds it in the cache; `job` is the primary key of the job that it shows.
    """

    key: str
    job: int
    may_change: bool = False
    is_under_sweep: bool = False
    is_card: bool = False
    sweep: Sweep | None = None

    def render(self, job: Job) -> str:
        if self.sweep is not None:
            return _render(self.key, "jobs/_sweep_row.html", {"job": job, "sweep": self.sweep})
        context = {"job": job, "may_change": self.may_change, "is_under_sweep": self.is_under_sweep}
        return _render(self.key, "jobs/_card.html" if self.is_card else "jobs/_row.html", context)


def row_keys(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Select only what finds the cached row of a job, and what the orders sort by."""
    keys = jobs.select_related(None).only("name", "updated_at", "owner", "sweep")
    return keys.annotate(
        owner_name=F("owner__name"),
        project_name=F("project__name"),
        is_in_private=F("project__is_private"),
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
    """Render jobs and sweeps by these keys. A job is read only if its row is not cached; `token` never is."""
    return _render_all([row for each in jobs for row in _rows_of(each, user)], user, token)


def render_cards(jobs: Iterable[Any], *, user: User, token: str) -> SafeString:
    """Render jobs by these keys as cards of the grid."""
    may_change = access.right_to_change(user)
    cards = [
        Row(_key_of(job, may_change(job), is_card=True), job.pk, may_change(job), is_card=True)
        for job in jobs
    ]
    return _render_all(cards, user, token)


def _render_all(shown: list[Row], user: User, token: str) -> SafeString:
    cached = caches["process"].get_many([row.key for row in shown])
    missing = {row.job for row in shown if row.key not in cached}
    jobs_to_read = (
        with_training(access.visible(user))
        .select_related("connection")
        .defer("dataset__verdict", "provider_data")
    )
    jobs = {job.pk: job for job in jobs_to_read.filter(pk__in=missing)} if missing else {}
    for row in shown:
        if row.key not in cached and row.job in jobs:
            cached[row.key] = row.render(jobs[row.job])
    html = "".join(cached.get(row.key, "") for row in shown)
    return mark_safe(html.replace(TOKEN_PLACEHOLDER, token))  # nosec B308  # the output of our own template


def _rows_of(shown: Any, user: User) -> Iterator[Row]:
    """The row of a job; or that of a sweep, and if it is unfolded those of its jobs."""
    may_change = access.right_to_change(user)
    if not isinstance(shown, Sweep):
        yield Row(_key_of(shown, may_change(shown)), shown.pk, may_change(shown))
        return
    versions = tuple(_key_of(job, may_change=False) for job in shown.jobs)
    key = f"sweep-{shown.key}-{hash((shown.is_unfolded, versions))}"
    yield Row(key, shown.shown.pk, sweep=shown)
    for job in shown.jobs if shown.is_unfolded else ():
        key = _key_of(job, may_change(job), is_under_sweep=True)
        yield Row(key, job.pk, may_change(job), is_under_sweep=True)


def _key_of(job: Any, may_change: bool, *, is_under_sweep: bool = False, is_card: bool = False) -> str:
    """The key of a job's row or card; `job` is read by `row_keys`."""
    return _cache_key(
        job,
        (may_change, is_under_sweep, is_card),
        job.dataset_changed,
        (job.owner_name, job.project_name),
        (job.training_changed, job.is_closed, job.is_in_private),
    )


def render_row(job: Job, *, may_change: bool) -> str:
    """Render a row with TOKEN_PLACEHOLDER as the CSRF token of its forms."""
    dataset, owner, training = job.dataset, job.owner, job.training_or_none
    key = _cache_key(
        job,
        (may_change, False, False),
        dataset.updated_at if dataset else None,
        (owner.name if owner else None, job.project.name if job.project else None),
        (
            training.updated_at if training else None,
            job.connection.is_training_closed,
            job.project.is_private if job.project else None,
        ),
    )
    html = caches["process"].get(key)
    return str(html) if html is not None else Row(key, job.pk, may_change).render(job)


def _render(key: str, template: str, context: dict[str, Any]) -> str:
    rendered = render_to_string(template, {**context, "csrf_token": TOKEN_PLACEHOLDER})
    html = INDENT.sub("\n", rendered.strip())
    caches["process"].set(key, html, PENDING_SECONDS if "data-pending" in html else CACHE_SECONDS)
    return html


def _cache_key(
    job: Job,
    variant: tuple[bool, bool, bool],
    dataset: datetime | None,
    names: tuple[str | None, ...],
    state: tuple[datetime | None, bool, bool | None],
) -> str:
    """`variant`: may the viewer change the job, does the row stand under that of its sweep, is it a card.

    `names` and `state` are what the row shows of other rows, which may change without the job.
    """
    return f"row-{job.pk}-{hash((job.updated_at, variant, dataset, names, state))}"
