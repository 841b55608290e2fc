"""Change the state of a job and add the entry to its timeline, both or neither."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.dispatch import Signal
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.jobs import costs
from finetune_portal.jobs.choices import ENDED, State
from finetune_portal.jobs.models import Job, JobEvent

Source = JobEvent.Source
became_ready = Signal()  # of a `job`, in the transaction that moves it


def note(
    job: Job,
    text: str,
    *,
    source: str,
    actor: User | None = None,
    state: str = "",
    detail: str = "",
) -> None:
    JobEvent.objects.create(
        job=job, text=text[:500], source=source, actor=actor, state=state, detail=detail[:4000]
    )


def move(
    job: Job,
    to: State,
    text: str,
    *,
    source: str,
    actor: User | None = None,
    detail: str = "",
    cost: int = 0,
    **fields: Any,
) -> bool:
    """Move the job from the state the caller read to `to`. False if someone else moved it first.

    `cost`: the key of the row of what the provider took, where the caller knows which it is.
    """
    with transaction.atomic():
        if to in ENDED:
            fields.setdefault("ended_at", now())
        if to == State.READY and not job.model_deleted_at:
            fields.setdefault("file_check_requested_at", now())  # the registry copies its model file home
        rows = Job.objects.filter(pk=job.pk, state=job.state)
        if not rows.update(state=to, updated_at=now(), lease_expires_at=None, **fields):
            return False
        note(job, text, source=source, actor=actor, state=to, detail=detail)
        costs.follow(job, to, cost)
        if to == State.READY:
            became_ready.send(Job, job=job)
    job.state = to
    for name, value in fields.items():
        setattr(job, name, value)
    return True
