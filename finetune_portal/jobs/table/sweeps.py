"""The jobs of a sweep as one row of the table, which unfolds into their rows.

So it is in the newest-first table, also in that of one person, dataset or project: there a row can speak for
all jobs of the sweep. In any other order, under a filter that takes some jobs of a sweep and leaves others,
and in the grid, each job stands on its own, named by what tells it from the others.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet

from finetune_portal.jobs.choices import ENDED, State
from finetune_portal.jobs.display import axis_line, status_text
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.table.display import layout_of
from finetune_portal.web.paging import PAGE

UNGROUPED_BY = ("state", "public", "sweep", "tag", "archived", "q", "sort")  # of the query string
# What the row of a sweep says of its jobs, beside what finds their own rows.
SHOWN = (
    *("name", "owner", "project", "updated_at", "sweep", "sweep_axes", "is_best", "is_public"),
    *("learning_rate", "steps", "parameters", "state", "error", "provider_status", "cancel_requested_at"),
    *("created_at", "ended_at"),
)


@dataclass(frozen=True)
class Sweep:
    """The jobs of one sweep that the table lists, in the order in which they were started: two or more."""

    jobs: list[Job]
    is_unfolded: bool

    @property
    def key(self) -> str:
        return str(self.jobs[0].sweep)

    @property
    def name(self) -> str:
        return self.jobs[0].name

    @property
    def axes(self) -> str:
        return axis_line(self.jobs)

    @property
    def job_keys(self) -> str:
        """What its checkbox sends: the keys of all its jobs."""
        return ",".join(str(job.pk) for job in self.jobs)

    @property
    def job_ids(self) -> str:
        """The ids of its rows on the page, which its button controls."""
        return " ".join(f"job-{job.pk}" for job in self.jobs)

    @property
    def best(self) -> Job | None:
        return next((job for job in self.jobs if job.is_best), None)

    @property
    def shown(self) -> Job:
        """The job whose picture stands for the sweep: the best, else the latest that became ready."""
        ready = [job for job in self.jobs if job.state == State.READY and job.ended_at]
        return self.best or max(ready, key=lambda job: (job.ended_at, job.pk), default=self.jobs[0])

    @property
    def done(self) -> int:
        return sum(job.state in ENDED for job in self.jobs)

    @property
    def is_done(self) -> bool:
        return self.done == len(self.jobs)

    @property
    def states(self) -> list[str]:
        """How many are in which state: `3 ready`, `1 failed`."""
        counts = Counter(status_text(job) for job in self.jobs)
        return [f"{number} {text[:1].lower()}{text[1:]}" for text, number in counts.items()]

    @property
    def look(self) -> tuple[str, str]:
        """The icon and the tone of its state."""
        states = {job.state for job in self.jobs}
        if states & {State.APPROVAL, State.UNCONFIRMED, State.NEEDS_DECISION}:
            return "question", "warn"
        if not self.is_done:
            return "turn", "moving"
        if State.READY not in states:
            return "cross", "bad"
        return ("alert", "warn") if states & {State.FAILED, State.REFUSED} else ("check", "good")

    @property
    def public(self) -> int:
        return sum(job.is_public for job in self.jobs)

    @property
    def started_at(self) -> datetime:
        return min(job.created_at for job in self.jobs)

    @property
    def has_one_project(self) -> bool:
        return len({job.project_id for job in self.jobs}) == 1


def are_grouped(params: Mapping[str, str]) -> bool:
    """Not in the grid either: it is for comparing the results of jobs."""
    return layout_of(params) == "table" and not any(params.get(name) for name in UNGROUPED_BY)


def unfolded(params: Mapping[str, str]) -> list[str]:
    """The keys of the sweeps that show their jobs; the button of a row unfolds one more, or folds one."""
    keys = [*params.get("unfolded", "").split(","), params.get("unfold", "")]
    return list(dict.fromkeys(key for key in keys if _is_key(key) and key != params.get("fold")))[-PAGE:]


def newest_of_each(rows: QuerySet[Job]) -> QuerySet[Job]:
    """Leave of each sweep only the newest job of these rows, at whose place the sweep has its row."""
    newer = rows.filter(sweep=OuterRef("sweep"), pk__gt=OuterRef("pk"))
    return rows.filter(Q(sweep=None) | ~Exists(newer))


def with_sweeps(page: list[Job], rows: QuerySet[Job], unfolded: list[str]) -> list[Job | Sweep]:
    """Put a sweep where the page has its newest job. `rows`, by `row_keys`, are all that the table lists."""
    keys = [job.sweep for job in page if job.sweep]
    jobs: dict[uuid.UUID | None, list[Job]] = defaultdict(list)
    for job in rows.filter(sweep__in=keys).only(*SHOWN).order_by("pk") if keys else ():
        jobs[job.sweep].append(job)
    return [
        Sweep(jobs[job.sweep], str(job.sweep) in unfolded) if len(jobs.get(job.sweep, ())) > 1 else job
        for job in page
    ]


def _is_key(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
