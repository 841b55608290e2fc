"""Have the model of a job run by itself when the job becomes ready."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import became_ready
from finetune_portal.playground import first_results


@receiver(became_ready)
def want_first_results(job: Job, **_: Any) -> None:
    first_results.want(job)
