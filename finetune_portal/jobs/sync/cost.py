"""What a job cost: what the balance fell by, where nothing else of the account can be in the difference."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import DOUBTFUL
from finetune_portal.jobs.models import Job


def before(connection: Connection) -> dict[str, Any]:
    """The balance before a job, as fields of the job; none where jobs are free."""
    if connection.is_free:
        return {}
    return {"credits_before": connection.credits, "credits_before_at": connection.credits_at}


def awaiting_balance(connection: Connection) -> QuerySet[Job]:
    """The jobs that ended and still need the balance after them."""
    return connection.jobs.filter(
        credits_before__isnull=False, credits_after=None, ended_at__isnull=False
    ).select_related(None)


def record_balance(connection: Connection, credits: float, *, asked_at: datetime) -> None:
    """Store the balance after each job that ended before `asked_at`, and the cost of each that was alone."""
    connection.refresh_from_db(fields=["other_payment_at"])
    ended = awaiting_balance(connection).filter(ended_at__lte=asked_at)
    costs = {job.pk: _cost(job, credits, asked_at) for job in ended}
    for pk, cost in costs.items():
        Job.objects.filter(pk=pk).update(credits_after=credits, cost=cost, updated_at=now())


def _cost(job: Job, credits: float, asked_at: datetime) -> float | None:
    difference = round((job.credits_before or 0) - credits, 6)
    is_alone = job.credits_before_at and not _others(job, job.credits_before_at, asked_at)
    return difference if is_alone and difference > 0 else None


def _others(job: Job, since: datetime, until: datetime) -> bool:
    """Whether anything else of the account may have been charged between two readings of the balance."""
    payment_at = job.connection.other_payment_at
    if payment_at and payment_at >= since:
        return True
    others = Job.objects.filter(connection=job.connection_id).exclude(pk=job.pk)
    begun = Q(sent_at__lte=until) | Q(sent_at=None, state__in=DOUBTFUL) | Q(owner=None, created_at__lte=until)
    return others.filter(begun, Q(ended_at=None) | Q(ended_at__gte=since)).exists()
