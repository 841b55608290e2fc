"""The history behind the bell, which each person has, with or without a channel.

An entry is written in the transaction that makes the event, by signals of the apps that make it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.costs.models import Budget, Cost
from finetune_portal.costs.months import Month
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, JobEvent
from finetune_portal.notifications import access
from finetune_portal.notifications.models import HistoryEntry

Event = HistoryEntry.Event
RETENTION = timedelta(days=90)
MOST_COUNTED = 99
EVENT_OF: dict[str, HistoryEntry.Event] = {
    State.READY: Event.READY,
    State.FAILED: Event.FAILED,
    State.REFUSED: Event.REFUSED,
    State.NEEDS_DECISION: Event.DECISION,
    State.APPROVAL: Event.APPROVAL,
}
FOR_ADMINS = (Event.DECISION, Event.APPROVAL)  # who act on it


def add_state(moved: JobEvent) -> None:
    """Add what a job came to, for its owner, and for admins where one has to act."""
    event = EVENT_OF.get(moved.state)
    if event is None:
        return
    job = Job.objects.select_related("owner").get(pk=moved.job_id)
    if event is Event.FAILED and job.is_cancelled:
        event = Event.CANCELLED
    people = set(_admins() if event in FOR_ADMINS else ())
    if job.owner and event is not Event.APPROVAL:
        people.add(job.owner)
    _add(event, people, job=job)


def add_decision(cost: Cost, *, is_approved: bool, actor: User) -> None:
    """Add for the owner of a job what an admin decided of its cost."""
    job = Job.objects.select_related("owner").filter(pk=cost.subject).first()
    if cost.kind == Cost.Kind.JOB and job and job.owner and job.owner != actor:
        _add(Event.APPROVED if is_approved else Event.DECLINED, [job.owner], job=job)


def add_closed(connection: Connection) -> None:
    """Add for admins that a provider takes no new jobs."""
    _add(Event.CLOSED, _admins(), connection=connection)


def add_exceeded(budget: Budget) -> None:
    """Add for admins that a budget which warns is exceeded, once a month."""
    this_month = HistoryEntry.objects.filter(budget=budget, created_at__gte=Month.current().starts_at)
    if not this_month.exists():
        _add(Event.OVER_BUDGET, _admins(), budget=budget)


def _admins() -> QuerySet[User]:
    return User.objects.filter(role=User.Role.ADMIN, is_active=True)


def _add(event: Event, people: Iterable[User], **thing: Any) -> None:
    HistoryEntry.objects.bulk_create(HistoryEntry(event=event, person=each, **thing) for each in people)


def unread_count(user: User) -> int:
    """How many entries the person has not read, counted up to one more than MOST_COUNTED."""
    return access.history(user).filter(read_at=None)[: MOST_COUNTED + 1].count()


def mark_read(entries: QuerySet[HistoryEntry]) -> None:
    """Mark those of the entries as read that are not."""
    unread = entries.filter(read_at=None).values("pk")
    HistoryEntry.objects.filter(pk__in=unread).update(read_at=now())


def delete_old() -> bool:
    """Delete what happened long ago, read or not."""
    HistoryEntry.objects.filter(created_at__lt=now() - RETENTION).delete()
    return False
