"""Limits on money: how many paid jobs a person may start a day and the team a month, and who may publish.

A day and a month are those of UTC. A job counts from its start, unless it ended before it was sent.
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
ONLY_ADMINS_PUBLISH = "Only admins make models public here. Ask one of them."
NAMES = ("per_person_day", "per_team_month", "only_admins_publish")


class Exceeded(ActionError):
    """More than is left. An admin may start it all the same, knowing it."""


@dataclass(frozen=True)
class Left:
    """What may still be started; None where nothing is limited."""

    today: int | None
    this_month: int | None

    @property
    def is_limited(self) -> bool:
        return self.today is not None or self.this_month is not None

    def allows(self, number: int) -> bool:
        return not number or all(left is None or number <= left for left in (self.today, self.this_month))


def limits() -> Limits:
    return Limits.objects.first() or Limits()


def left(person: User) -> Left:
    """Jobs of the local engine cost nothing and count nowhere."""
    allowed = limits()
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
    own = _paid(midnight).filter(owner=person)
    everyones = _paid(midnight.replace(day=1))
    return Left(
        today=_rest(allowed.per_person_day, own),
        this_month=_rest(allowed.per_team_month, everyones),
    )


def _paid(since: datetime) -> QuerySet[Job]:
    return Job.objects.filter(created_at__gte=since).exclude(owner=None).exclude(UNPAID)


def _rest(allowed: int | None, jobs: QuerySet[Job]) -> int | None:
    return None if allowed is None else max(0, allowed - jobs.count())


def lock() -> None:
    """In the transaction that makes jobs: two forms at once cannot both get the last one, nor one twice."""
    Limits.objects.get_or_create(pk=1)
    Limits.objects.select_for_update().get(pk=1)


def check(person: User, connections: list[Connection]) -> None:
    """Whether this person may start one job on each of these. Call `lock` before. Raises Exceeded."""
    number = sum(connection.kind != Kind.ENGINE for connection in connections)
    rest = left(person)
    if rest.allows(number):
        return
    if rest.today is not None and number > rest.today:
        text = f"You may start {_count(limits().per_person_day)} a day, and {_remaining(rest.today)} today."
    else:
        of = _count(limits().per_team_month)
        text = f"The team may start {of} a month, and {_remaining(rest.this_month)} this month."
    raise Exceeded(text)


def _count(number: int | None) -> str:
    return f"{number} training{'' if number == 1 else 's'}"


def _remaining(number: int | None) -> str:
    return f"{number or 'none'} {'is' if number in (0, 1, None) else 'are'} left"


def may_publish(person: User) -> bool:
    return person.can_administer or not limits().only_admins_publish


def change(*, actor: User, **fields: int | bool | None) -> None:
    """Set them; the record tells each that changed."""
    with transaction.atomic():
        lock()
        before = limits()
        Limits.objects.filter(pk=before.pk).update(**fields)
        for name in NAMES:
            was, is_now = getattr(before, name), fields[name]
            if was != is_now:
                record(actor, f"limit.{name}", before, before=was, after=is_now)
