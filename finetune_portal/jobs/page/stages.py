"""The progress line of a job: where it stands, and how long it was at each station. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from django.utils.timezone import now

from finetune_portal.jobs.choices import STATION_OF_STATE, STATIONS, State
from finetune_portal.jobs.models import Job, JobEvent


@dataclass(frozen=True)
class Station:
    """`mark` is done, now, failed, stopped or ahead; `since` is told where it is now, `took` where it was."""

    label: str
    mark: str
    took: timedelta | None = None
    since: datetime | None = None

    @property
    def so_far(self) -> timedelta | None:
        return now() - self.since if self.since else None


def line(job: Job, events: Iterable[JobEvent]) -> list[Station]:
    """As the timeline tells it, so a state that no look at the upstream saw has no time of its own."""
    took: dict[int, timedelta] = {}
    since: dict[int, datetime] = {}
    for station, start, end in _stays(events):
        if end:
            took[station] = took.get(station, timedelta()) + (end - start)
        elif job.is_active:
            since[station] = start
    return [
        Station(label, _mark(job, number), took.get(number), since.get(number))
        for number, (label, _) in enumerate(STATIONS)
    ]


def _stays(events: Iterable[JobEvent]) -> Iterator[tuple[int, datetime, datetime | None]]:
    """Each stay at a station: from when, and until when unless it lasts."""
    seen = ((STATION_OF_STATE.get(State(event.state)), event.created_at) for event in events if event.state)
    starts = [(station, next(stay)[1]) for station, stay in groupby(seen, key=lambda each: each[0])]
    for (station, start), (_, end) in pairwise([*starts, (None, None)]):
        if station is not None and start is not None:
            yield station, start, end


def _mark(job: Job, number: int) -> str:
    if number < job.station or job.state == State.READY:
        return "done"
    if number > job.station:
        return "ahead"
    if job.is_active:
        return "now"
    return "stopped" if job.is_cancelled else "failed"
