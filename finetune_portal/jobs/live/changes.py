"""Watch the database for changes and render each change once. Knows no viewers.

`updated_at` is set before its transaction commits, so rows become visible out of order. Each check therefore
reads the last seconds again and compares them with the previous check.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.db.models import Max, Q
from django.template.loader import render_to_string
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import banners
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import access
from finetune_portal.jobs.models import DeletedJob, Job, Training
from finetune_portal.jobs.table.rows import render_row, with_training
from finetune_portal.projects.models import Project
from finetune_portal.queue import data_version

OVERLAP = timedelta(seconds=15)  # longer than a writer waits for the database
MAX_ROWS = 200  # with more changes at once each viewer fetches the table instead
COUNT_SECONDS = 1.0
BANNER_SECONDS = 15.0  # also without a commit, because a worker that died makes none


@dataclass(frozen=True)
class StreamEvent:
    """One event: `for_viewers` as everyone gets it, `for_editors` for those who may change the job.

    That of a job goes to nobody who may not see its project.
    """

    for_viewers: bytes
    for_editors: bytes = b""
    job: Job | None = None

    def for_user(self, user: User, hidden: frozenset[int]) -> bytes:
        """`hidden` are the keys of the private projects that the person may not see."""
        if self.job is not None and self.job.project_id in hidden:
            return b""
        may_change = self.job is not None and access.may_change(user, self.job)
        return self.for_editors if may_change else self.for_viewers


def event(name: str, **data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


@dataclass
class ChangeWatcher:
    """Notices commits. Call `check` in one thread only, whose database connection it uses."""

    version: str = ""
    checked_at: datetime = field(default_factory=now)
    jobs: dict[int, Any] = field(default_factory=dict)
    datasets: dict[int, Any] = field(default_factory=dict)
    trainings: dict[int, Any] = field(default_factory=dict)
    deleted: dict[int, Any] = field(default_factory=dict)
    connections_updated_at: datetime | None = None
    banners: str = ""
    banners_checked: float = 0.0
    last_answer_at: datetime | None = None
    projects_changed_at: datetime | None = None
    counted: float = 0.0
    must_count: bool = False

    def check(self) -> list[StreamEvent]:
        """Return the events since the last check. The first check only records what there is."""
        version = data_version.version()
        events = self._changed_rows() if version != self.version else []
        self.version = version
        return events + self._changed_banners()

    def take_count(self) -> bool:
        """Whether the numbers of jobs are due, which differ between people; at most once a second."""
        if not self.must_count or monotonic() - self.counted < COUNT_SECONDS:
            return False
        self.must_count, self.counted = False, monotonic()
        return True

    def _changed_rows(self) -> list[StreamEvent]:
        since, checked_at = self.checked_at - OVERLAP, now()
        jobs = dict(Job.objects.filter(updated_at__gte=since).values_list("pk", "updated_at"))
        rows = Dataset.objects.filter(updated_at__gte=since).values_list("pk", "state", "name")
        datasets = {pk: (state, name) for pk, state, name in rows}
        trainings = dict(Training.objects.filter(updated_at__gte=since).values_list("job", "updated_at"))
        deleted = dict(DeletedJob.objects.filter(deleted_at__gte=since).values_list("pk", "deleted_at"))
        connections_updated_at = Connection.objects.aggregate(last=Max("updated_at"))["last"]
        stalest = Connection.objects.stalest()
        projects_changed_at = Project.objects.aggregate(last=Max("updated_at"))["last"]
        with_new_dataset = Q(dataset__in=_changed_keys(self.datasets, datasets))
        changed = Q(pk__in=_changed_keys(self.jobs, jobs)) | with_new_dataset
        events = _row_events("row", changed)
        if _changed_keys(self.deleted, deleted):
            events = [StreamEvent(event("stale"))]  # each viewer fetches the table, without the row
        self.must_count = self.must_count or bool(events)
        events += _row_events("progress", Q(pk__in=_changed_keys(self.trainings, trainings)) & ~changed)
        if connections_updated_at != self.connections_updated_at:
            self.banners_checked = 0.0
        if projects_changed_at != self.projects_changed_at:
            # What is private now, or went into a private project, leaves the pages of all others.
            events.append(StreamEvent(event("stale")))
            self.must_count = True
        self.projects_changed_at = projects_changed_at
        self.jobs, self.datasets, self.trainings = jobs, datasets, trainings
        self.deleted = deleted
        self.connections_updated_at, self.checked_at = connections_updated_at, checked_at
        self.last_answer_at = stalest.last_answer_at if stalest else None
        return events

    def _changed_banners(self) -> list[StreamEvent]:
        if self.banners_checked and monotonic() - self.banners_checked < BANNER_SECONDS:
            return []
        before, self.banners = self.banners, _render_banners()
        is_first, self.banners_checked = not before, monotonic()
        if is_first or self.banners == before:
            return []
        return [StreamEvent(event("banners", html=self.banners))]

    def beat(self) -> bytes:
        """A heartbeat with the seconds since the provider last answered: the age of what is shown."""
        age = {"age": round((now() - self.last_answer_at).total_seconds(), 1)} if self.last_answer_at else {}
        return event("beat", **age)


def _changed_keys(before: Mapping[int, Any], after: Mapping[int, Any]) -> list[int]:
    return [pk for pk, version in after.items() if before.get(pk) != version]


def _row_events(name: str, changed: Q) -> list[StreamEvent]:
    """Make an event for each job: `row`, or `progress` where only its percent changed."""
    jobs = with_training(Job.objects.filter(changed).select_related("owner", "dataset", "project"))
    rows = list(jobs.defer("dataset__verdict").order_by("pk")[: MAX_ROWS + 1])
    if len(rows) > MAX_ROWS:
        return [StreamEvent(event("stale"))]
    return [
        StreamEvent(_row(name, job, may_change=False), _row(name, job, may_change=True), job) for job in rows
    ]


def _row(name: str, job: Job, *, may_change: bool) -> bytes:
    return event(
        name,
        id=job.pk,
        owner=job.owner_id,
        dataset=job.dataset_id,
        sweep=str(job.sweep) if job.sweep else None,
        group=job.group,
        archived=job.archived_at is not None,
        html=render_row(job, may_change=may_change),
    )


def _render_banners() -> str:
    return render_to_string("_banners.html", {"banners": banners.current()}).strip()
