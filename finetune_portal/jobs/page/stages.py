"""The progress line of a job: its stages, the one it is in, and the time spent in each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from django.utils.timezone import now

from finetune_portal.jobs.choices import STAGE_OF_STATE, STAGES, State
from finetune_portal.jobs.display import stage_number
from finetune_portal.jobs.models import Job, JobEvent


@dataclass(frozen=True)
class Stage:
    """`mark` is done, now, failed, stopped or ahead. `since` is set while the job is here, `took` after."""

    label: str
    mark: str
    took: timedelta | None = None
    since: datetime | None = None

    @property
    def so_far(self) -> timedelta | None:
        return now() - self.since if self.since else None


def progress_line(job: Job, events: Iterable[JobEvent]) -> list[Stage]:
    """Build the stages from the timeline; a state that no poll saw has no time of its own."""
    took: dict[int, timedelta] = {}
    since: dict[int, datetime] = {}
    for stage, start, end in _periods(events):
        if end:
            took[stage] = took.get(stage, timedelta()) + (end - start)
        elif job.is_active:
            since[stage] = start
    return [
        Stage(label, _mark(job, number), took.get(number), since.get(number))
        for number, (label, _) in enumerate(STAGES)
    ]


def _periods(events: Iterable[JobEvent]) -> Iterator[tuple[int, datetime, datetime | None]]:
    """Yield each period in a stage: stage number, start, and end unless it lasts."""
    moves = ((STAGE_OF_STATE.get(State(event.state)), event.created_at) for event in events if event.state)
    starts = [(stage, next(period)[1]) for stage, period in groupby(moves, key=lambda move: move[0])]
    for (stage, start), (_, end) in pairwise([*starts, (None, None)]):
        if stage is not None and start is not None:
            yield stage, start, end


def _mark(job: Job, number: int) -> str:
    current = stage_number(job)
    if number < current or job.state == State.READY:
        return "done"
    if number > current:
        return "ahead"
    if job.is_active:
        return "now"
    return "stopped" if job.is_cancelled else "failed"
