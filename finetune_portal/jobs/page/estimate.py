"""When a job will be ready, from the team's own finished jobs with similar steps; none without them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.utils.timezone import now

from finetune_portal.jobs.choices import FOLLOWED, State
from finetune_portal.jobs.models import Job

MIN_JOBS, MAX_JOBS = 3, 20


@dataclass(frozen=True)
class Estimate:
    """`took` is the median of the `job_count` jobs behind the estimate."""

    ready_at: datetime
    took: timedelta
    job_count: int

    @property
    def is_over(self) -> bool:
        return self.ready_at < now()


def estimate(job: Job) -> Estimate | None:
    """Compare jobs of the same connection only: the local engine says nothing about a provider's speed."""
    if job.state not in FOLLOWED or job.sent_at is None or not job.steps:
        return None
    ready = Job.objects.filter(state=State.READY, connection=job.connection_id)
    similar = ready.filter(steps__gte=job.steps / 2, steps__lte=job.steps * 2)
    times = similar.exclude(sent_at=None).exclude(ended_at=None).order_by("-pk")
    rows = times.values_list("sent_at", "ended_at")[:MAX_JOBS]
    seconds = [(ended - sent).total_seconds() for sent, ended in rows if sent and ended]
    if len(seconds) < MIN_JOBS:
        return None
    took = timedelta(seconds=median(seconds))
    return Estimate(job.sent_at + took, took, len(seconds))
