"""How long the team's finished jobs took, by which the portal says how long another one will take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any, TypeVar

from django.db.models import OuterRef, QuerySet, Subquery

from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, JobEvent

MIN_JOBS, MAX_JOBS = 3, 10
MAX_LOOKED_AT = 200
MAX_SPREAD = 3  # how many times longer a step may take in the slowest of the middle half of the jobs
# Parameters that change how long steps take.
WEIGHTY = ("batch_size", "gradient_accumulation_steps", "memory", "resolution", "sample_steps")

GRAINS = ((60, 5), (600, 30), (7200, 60))  # below so many seconds an expected time is rounded to these
COARSEST = 600

FIRST_SEEN_TRAINING = JobEvent.objects.filter(job=OuterRef("pk"), state=State.TRAINING).order_by("pk")
MODEL = ("is_simulated", "provider_data__model_information__base_model")
TIMES = ("sent_at", "ended_at", "seen_training_at", "training__began_at", "training__percent")
COLUMNS = ("pk", "connection", "trainer", "steps", "parameters", "dataset__most_inputs", *MODEL, *TIMES)

N = TypeVar("N", float, Decimal)
Row = dict[str, Any]  # of a finished job: COLUMNS


@dataclass(frozen=True)
class Finished:
    """A job that became ready. `began_at` is when it began to train, None if the portal cannot tell."""

    pk: int
    steps: int
    sent_at: datetime | None
    began_at: datetime | None
    ended_at: datetime

    @property
    def seconds_a_step(self) -> float | None:
        """From the start of the training until the model was ready."""
        if self.began_at is None or self.ended_at <= self.began_at:
            return None
        return (self.ended_at - self.began_at).total_seconds() / self.steps


@dataclass(frozen=True)
class ExpectedTime:
    """From the start of a training until its model is ready; of a sweep the shortest and the longest."""

    least: timedelta
    most: timedelta
    job_count: int


def expected_time(finished: list[Finished], steps: Iterable[int]) -> ExpectedTime | None:
    """How long jobs of so many steps train, by finished ones like them; None if it is not known."""
    seconds: list[float] = []
    used: set[int] = set()
    for count in steps:
        similar = to_compare(finished, count)
        if not similar:
            return None
        seconds.append(count * median(each.seconds_a_step or 0.0 for each in similar))
        used.update(each.pk for each in similar)
    if not seconds:
        return None
    return ExpectedTime(about(min(seconds)), about(max(seconds)), len(used))


def newest_finished(jobs: QuerySet[Job], count: int = MAX_LOOKED_AT) -> list[Row]:
    """The newest of these jobs that became ready, at most `count`, the newest first. One query."""
    ready = jobs.filter(state=State.READY)
    whole = ready.exclude(ended_at=None).exclude(steps=None).exclude(steps=0).order_by("-pk")
    seen = Subquery(FIRST_SEEN_TRAINING.values("created_at")[:1])
    return list(whole.annotate(seen_training_at=seen).values(*COLUMNS)[:count])


def alike(rows: list[Row], parameters: Mapping[str, Any], inputs: int) -> list[Finished]:
    """Those of one connection and trainer with the same weight of a step, in their order.

    The weight is that of the parameters and of the most input images that a pair has: a step reads them all.
    An engine may have simulated, or had another base model, before: what is unlike its newest finished job in
    that is left out.
    """
    return [
        Finished(row["pk"], row["steps"], row["sent_at"], _began_at(row), row["ended_at"])
        for row in rows
        if all(row[name] == rows[0][name] for name in MODEL)
        and (row["dataset__most_inputs"] or 1) == inputs
        and _weight(row["parameters"]) == _weight(parameters)
    ]


def finished_like(
    jobs: QuerySet[Job], connection: int, trainer: str, parameters: Mapping[str, Any], inputs: int
) -> list[Finished]:
    """The finished jobs of a connection and trainer with the same weight of a step, the newest first."""
    rows = newest_finished(jobs.filter(connection=connection, trainer=trainer))
    return alike(rows, parameters, inputs)


def with_similar_steps(finished: Iterable[Finished], steps: int) -> Iterator[Finished]:
    """Those with at least half and at most twice as many steps."""
    return (each for each in finished if steps / 2 <= each.steps <= steps * 2)


def to_compare(finished: Iterable[Finished], steps: int) -> list[Finished]:
    """The jobs whose training time stands for that of a job with so many steps; none where they differ.

    They are the last ones of exactly so many steps where these are enough, else of similar ones. Whether they
    differ the middle half of them says: one that waited for its provider is no reason to know nothing.
    """
    timed = [each for each in with_similar_steps(finished, steps) if each.seconds_a_step]
    same = [each for each in timed if each.steps == steps]
    chosen = (same if len(same) >= MIN_JOBS else timed)[:MAX_JOBS]
    a_step = middle_half([each.seconds_a_step or 0.0 for each in chosen])
    return chosen if len(chosen) >= MIN_JOBS and a_step[-1] <= MAX_SPREAD * a_step[0] else []


def about(seconds: float) -> timedelta:
    """Round a time that is only expected."""
    grain = next((grain for below, grain in GRAINS if seconds < below), COARSEST)
    return timedelta(seconds=max(grain, round(seconds / grain) * grain))


def _began_at(row: Mapping[str, Any]) -> datetime | None:
    """When a job began to train. One of an engine that tells its progress may have queued in that state."""
    began = row["seen_training_at"] if row["training__percent"] is None else row["training__began_at"]
    return began if isinstance(began, datetime) else None


def middle_half(values: list[N]) -> list[N]:
    """The values in order, without the lowest and the highest quarter; of three all."""
    left_out = len(values) // 4
    return sorted(values)[left_out : len(values) - left_out]


def _weight(parameters: Mapping[str, Any]) -> list[Any]:
    return [parameters.get(name) for name in WEIGHTY]
