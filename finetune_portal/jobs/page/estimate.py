"""When a job will be ready, from the team's own finished jobs with similar work; none without them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.db.models import QuerySet
from django.utils.timezone import now

from finetune_portal.jobs.choices import FOLLOWED, State
from finetune_portal.jobs.durations import (
    MAX_JOBS,
    MIN_JOBS,
    finished_like,
    to_compare,
    with_similar_steps,
)
from finetune_portal.jobs.models import Job, JobEvent


@dataclass(frozen=True)
class Estimate:
    """`took` is the median of the `job_count` jobs behind the estimate, for this job's number of steps.

    It begins when a job is sent, or, once this job trains, at the start of the training.
    """

    ready_at: datetime
    took: timedelta
    job_count: int
    is_of_training: bool = False

    @property
    def is_over(self) -> bool:
        return self.ready_at < now()


def estimate(job: Job, jobs: QuerySet[Job], events: Iterable[JobEvent] = ()) -> Estimate | None:
    """Compare with `jobs` of this connection and trainer, of similar steps and the same weight of a step."""
    if job.state not in FOLLOWED or job.sent_at is None or not job.steps:
        return None
    finished = finished_like(jobs, job.connection_id, job.trainer, job.parameters, job.most_inputs)
    began_at, alike = _began_at(job, events), to_compare(finished, job.steps)
    if began_at and alike:
        took = timedelta(seconds=job.steps * median(each.seconds_a_step or 0.0 for each in alike))
        return Estimate(began_at + took, took, len(alike), is_of_training=True)
    similar = with_similar_steps(finished, job.steps)
    seconds = [(each.ended_at - each.sent_at).total_seconds() for each in similar if each.sent_at]
    if len(seconds) < MIN_JOBS:
        return None
    seconds = seconds[:MAX_JOBS]
    took = timedelta(seconds=median(seconds))
    return Estimate(job.sent_at + took, took, len(seconds))


def _began_at(job: Job, events: Iterable[JobEvent]) -> datetime | None:
    """When the job began to train; None while it waits. An engine that tells its progress knows it best."""
    if job.state in (State.REQUESTED, State.DATA):
        return None
    training = job.training_or_none
    if training is not None and training.percent is not None:
        return training.began_at
    return next((event.created_at for event in events if event.state == State.TRAINING), None)
