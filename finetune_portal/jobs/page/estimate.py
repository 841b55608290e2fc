"""When a training will be ready, judged by the team's own finished ones of like size; silent without them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.utils.timezone import now

from finetune_portal.jobs.choices import FOLLOWED, State
from finetune_portal.jobs.models import Job

LEAST, MOST = 3, 20


@dataclass(frozen=True)
class Estimate:
    """`ready` is a moment, `took` what the `by` trainings took that it is judged by."""

    ready: datetime
    took: timedelta
    by: int

    @property
    def is_over(self) -> bool:
        return self.ready < now()


def estimate(job: Job) -> Estimate | None:
    """By the same connection's alone: the local engine is no measure for the vendor."""
    if job.state not in FOLLOWED or job.sent_at is None or not job.steps:
        return None
    ready = Job.objects.filter(state=State.READY, connection=job.connection_id)
    like = ready.filter(steps__gte=job.steps / 2, steps__lte=job.steps * 2)
    times = (
        like.exclude(sent_at=None)
        .exclude(ended_at=None)
        .order_by("-pk")
        .values_list("sent_at", "ended_at")[:MOST]
    )
    seconds = [(ended - sent).total_seconds() for sent, ended in times if sent and ended]
    if len(seconds) < LEAST:
        return None
    took = timedelta(seconds=median(seconds))
    return Estimate(job.sent_at + took, took, len(seconds))
