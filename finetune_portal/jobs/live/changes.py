"""What changed in the database since the last look, each change rendered once. Knows no viewers.

`updated_at` is set before its transaction commits, so rows become visible out of order. Each look therefore
reads a little of the past again and compares what it finds there with what it found before.
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
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.table.query import counts_of
from finetune_portal.jobs.table.rows import row, with_training
from finetune_portal.queue import data_version

OVERLAP = timedelta(seconds=15)  # longer than a writer waits for its turn
FLOOD = 200  # more rows at once than are worth sending: everyone asks for the table instead
COUNT_SECONDS = 1.0
MOOD_SECONDS = 15.0  # a worker that died commits nothing


@dataclass(frozen=True)
class News:
    """One event of the stream: `plain` for those who look, `own` for those who may change the job."""

    plain: bytes
    own: bytes = b""
    job: Job | None = None

    @property
    def differs(self) -> bool:
        return self.job is not None and self.own != self.plain

    def told_to(self, user: User) -> bytes:
        return self.own if self.job and access.may_change(user, self.job) else self.plain


def event(name: str, **data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


@dataclass
class Lookout:
    """Notices commits. All its looks belong in one thread, whose database connection it uses."""

    version: str = ""
    looked: datetime = field(default_factory=now)
    jobs: dict[int, Any] = field(default_factory=dict)
    datasets: dict[int, Any] = field(default_factory=dict)
    trainings: dict[int, Any] = field(default_factory=dict)
    moved: datetime | None = None
    mood: str = ""
    felt: float = 0.0
    answered: datetime | None = None
    counted: float = 0.0
    must_count: bool = False

    def look(self) -> list[News]:
        """What is new since the last look. The first look only learns what there is."""
        version = data_version.version()
        news = self._changes() if version != self.version else []
        self.version = version
        news += self._mood()
        if self.must_count and monotonic() - self.counted >= COUNT_SECONDS:
            self.must_count, self.counted = False, monotonic()
            news.append(News(event("counts", **counts_of())))
        return news

    def _changes(self) -> list[News]:
        since, looked = self.looked - OVERLAP, now()
        jobs = dict(Job.objects.filter(updated_at__gte=since).values_list("pk", "updated_at"))
        rows = Dataset.objects.filter(updated_at__gte=since).values_list("pk", "state", "name")
        datasets = {pk: (state, name) for pk, state, name in rows}
        trainings = dict(Training.objects.filter(updated_at__gte=since).values_list("job", "updated_at"))
        connections = Connection.objects.aggregate(last=Max("updated_at"))["last"]
        stalest = Connection.objects.stalest()
        moved = Q(pk__in=_moved(self.jobs, jobs)) | Q(dataset__in=_moved(self.datasets, datasets))
        news = _rows("row", moved)
        self.must_count = self.must_count or bool(news)
        news += _rows("progress", Q(pk__in=_moved(self.trainings, trainings)) & ~moved)
        if connections != self.moved:
            self.felt = 0.0
        self.jobs, self.datasets, self.trainings = jobs, datasets, trainings
        self.moved, self.looked = connections, looked
        self.answered = stalest.last_answer_at if stalest else None
        return news

    def _mood(self) -> list[News]:
        if self.felt and monotonic() - self.felt < MOOD_SECONDS:
            return []
        before, self.mood = self.mood, _banners()
        is_first, self.felt = not before, monotonic()
        return [] if is_first or self.mood == before else [News(event("banners", html=self.mood))]

    def beat(self) -> bytes:
        """A sign of life, with the seconds since the upstream last told: what is shown is as old as that."""
        age = {"age": round((now() - self.answered).total_seconds(), 1)} if self.answered else {}
        return event("beat", **age)


def _moved(before: Mapping[int, Any], there: Mapping[int, Any]) -> list[int]:
    return [pk for pk, seen in there.items() if before.get(pk) != seen]


def _rows(name: str, moved: Q) -> list[News]:
    """An event of this name for each: `row`, or `progress` where only the percent moved on."""
    jobs = with_training(Job.objects.filter(moved).select_related("owner", "dataset"))
    found = list(jobs.defer("dataset__verdict").order_by("pk")[: FLOOD + 1])
    if len(found) > FLOOD:
        return [News(event("stale"))]
    return [News(_row(name, job, may_change=False), _row(name, job, may_change=True), job) for job in found]


def _row(name: str, job: Job, *, may_change: bool) -> bytes:
    return event(
        name,
        id=job.pk,
        owner=job.owner_id,
        dataset=job.dataset_id,
        group=job.group,
        archived=job.archived_at is not None,
        html=row(job, may_change=may_change),
    )


def _banners() -> str:
    return render_to_string("_banners.html", {"banners": banners.current()}).strip()
