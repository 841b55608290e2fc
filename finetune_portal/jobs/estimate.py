"""When a training will be ready, judged by the team's own finished ones of like size; silent without them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from finetune_portal.jobs.choices import FOLLOWED, State
from finetune_portal.jobs.models import Job

LEAST, MOST = 3, 20


@dataclass(frozen=True)
class Estimate:
    """`ready` is a moment, `by` the number of trainings that it is judged by."""

    ready: datetime
    by: int


def estimate(job: Job) -> Estimate | None:
    if job.state not in FOLLOWED or job.sent is None or not job.steps:
        return None
    like = Job.objects.filter(state=State.READY, steps__gte=job.steps / 2, steps__lte=job.steps * 2)
    times = like.exclude(sent=None).exclude(ended=None).order_by("-pk").values_list("sent", "ended")[:MOST]
    took = [(ended - sent).total_seconds() for sent, ended in times if sent and ended]
    if len(took) < LEAST:
        return None
    return Estimate(job.sent + timedelta(seconds=median(took)), len(took))
