"""The progress line of a job: its stages, the one it is in, and the time spent in each. No queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from django.utils.timezone import now

from finetune_portal.connections.phases import phases_of
from finetune_portal.jobs.choices import STAGE_OF_STATE, STAGES, STATE_OF_PHASE, State
from finetune_portal.jobs.display import stage_number
from finetune_portal.jobs.models import Job, JobEvent


@dataclass(frozen=True)
class Stage:
    """`mark` is done, now, ended or ahead. `since` is set while the job is here, `took` after."""

    label: str
    mark: str
    took: timedelta | None = None
    since: datetime | None = None

    @property
    def so_far(self) -> timedelta | None:
        return now() - self.since if self.since else None


def progress_line(job: Job, events: Iterable[JobEvent]) -> list[Stage]:
    """Build the stages from the timeline; a state that no poll saw has no time of its own.

    A stage that the job's provider does not have is left out, unless the job was seen in it.
    """
    took: dict[int, timedelta] = {}
    since: dict[int, datetime] = {}
    current = stage_number(job)
    for stage, start, end in _periods(events):
        if end:
            took[stage] = took.get(stage, timedelta()) + (end - start)
        elif job.is_active:
            since[stage] = start
        if job.state == State.CLOSED:
            current = stage  # a job may be withdrawn before its dataset is there
    shown = {*_stages_of(job), *took, *since, current}
    return [
        Stage(label, _mark(job, number, current), took.get(number), since.get(number))
        for number, (label, _) in enumerate(STAGES)
        if number in shown
    ]


def _stages_of(job: Job) -> set[int]:
    """The stages of the portal and those of the job's provider, by their numbers."""
    phases = phases_of(job.connection)
    left_out = {state for phase, state in STATE_OF_PHASE.items() if phase not in phases}
    return {number for number, (_, states) in enumerate(STAGES) if not left_out.issuperset(states)}


def _periods(events: Iterable[JobEvent]) -> Iterator[tuple[int, datetime, datetime | None]]:
    """Yield each period in a stage: stage number, start, and end unless it lasts."""
    moves = ((STAGE_OF_STATE.get(State(event.state)), event.created_at) for event in events if event.state)
    starts = [(stage, next(period)[1]) for stage, period in groupby(moves, key=lambda move: move[0])]
    for (stage, start), (_, end) in pairwise([*starts, (None, None)]):
        if stage is not None and start is not None:
            yield stage, start, end


def _mark(job: Job, number: int, current: int) -> str:
    if number < current or job.state == State.READY:
        return "done"
    if number > current:
        return "ahead"
    return "now" if job.is_active else "ended"
