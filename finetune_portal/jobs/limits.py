"""Limit the paid jobs of a person per day and of the team per month, and who may publish.

Days and months are in UTC. A job counts from its start, unless it ended before it was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections.models import Connection, Kind
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Limits
from finetune_portal.web.errors import ActionError

UNPAID = Q(state__in=(State.REFUSED, State.CLOSED), sent_at=None) | Q(connection__kind=Kind.ENGINE)
ONLY_ADMINS_PUBLISH = "Only admins can make models public here. Ask one of them."
NAMES = ("per_person_day", "per_team_month", "only_admins_publish")


class LimitExceededError(ActionError):
    """Too few jobs are left. An admin may exceed the limit after a confirmation."""


@dataclass(frozen=True)
class Remaining:
    """How many jobs may still be started; None without a limit."""

    today: int | None
    this_month: int | None

    @property
    def is_limited(self) -> bool:
        return self.today is not None or self.this_month is not None

    def allows(self, number: int) -> bool:
        return not number or all(count is None or number <= count for count in (self.today, self.this_month))


def current() -> Limits:
    return Limits.objects.first() or Limits()


def remaining(person: User) -> Remaining:
    """Count what is left. Jobs of the local engine are free and do not count."""
    limits = current()
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
    own = _paid(midnight).filter(owner=person)
    of_team = _paid(midnight.replace(day=1))
    return Remaining(
        today=_left(limits.per_person_day, own),
        this_month=_left(limits.per_team_month, of_team),
    )


def _paid(since: datetime) -> QuerySet[Job]:
    return Job.objects.filter(created_at__gte=since).exclude(owner=None).exclude(UNPAID)


def _left(limit: int | None, jobs: QuerySet[Job]) -> int | None:
    return None if limit is None else max(0, limit - jobs.count())


def lock() -> None:
    """Lock the limits in the transaction that makes jobs, so that two forms cannot both take the last one.

    A transaction that locks several rows does so in one order, which rules out a deadlock: the limits, jobs,
    datasets, generations and files of models, budgets, projects. Where a budget came to a locked project, the
    transaction ends (deletion/services.py).
    """
    Limits.objects.get_or_create(pk=1)
    Limits.objects.select_for_update().get(pk=1)


def check(person: User, connections: list[Connection]) -> None:
    """Check that a person may start one job on each connection, after `lock`. Raises LimitExceededError."""
    number = sum(connection.kind != Kind.ENGINE for connection in connections)
    limits, left = current(), remaining(person)
    if left.allows(number):
        return
    if left.today is not None and number > left.today:
        text = f"You may start {_jobs(limits.per_person_day)} per day; {_are_left(left.today)} for today."
    else:
        text = f"The team may start {_jobs(limits.per_team_month)} per month; {_are_left(left.this_month)}."
    raise LimitExceededError(text)


def _jobs(number: int | None) -> str:
    return f"{number} job{'' if number == 1 else 's'}"


def _are_left(number: int | None) -> str:
    return f"{number or 'none'} {'is' if number in (0, 1, None) else 'are'} left"


def may_publish(person: User) -> bool:
    return person.can_administer or not current().only_admins_publish


def change(*, actor: User, **fields: int | bool | None) -> None:
    """Change the limits and record each change."""
    with transaction.atomic():
        lock()
        before = current()
        Limits.objects.filter(pk=before.pk).update(**fields)
        for name in NAMES:
            old, new = getattr(before, name), fields[name]
            if old != new:
                record(actor, f"limit.{name}", before, before=old, after=new)
