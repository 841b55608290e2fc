"""How many calls an account may still make: learned from the answers, shared by all processes in its row.

The vendor's free plan has five calls a minute (segmind-facts, section 5). While no limit was told, every call
may go. Once one was, each call is taken out of what is left, and after the reset a single one goes ahead
to learn anew. While the upstream is away, only the list asks whether it is back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

from django.db.models import F, QuerySet
from django.db.models.functions import Least
from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.web.leases import Leased, claim, claimable

LEFT, RESET = "x-rate-limit-remaining", "x-rate-limit-reset-at-utc"
# How many calls each kind leaves for what matters more: one for people, one for the list.
LIST, SUBMIT, CARRY, DETAILS, CREDITS, EXTRA = 1, 2, 2, 3, 3, 4
SCOUT = timedelta(seconds=10)  # how long the others wait for the one that went ahead
LIST_FIRST = timedelta(seconds=30)  # a list as old as this goes ahead of all others
PAUSE, LONGEST = timedelta(minutes=1), timedelta(days=1)
SAME = timedelta(seconds=2)

R = TypeVar("R", bound=Leased)


def take(connection: Connection, leave: int) -> bool:
    """Take one call out of what is left; False if not more than `leave` are, or it is away."""
    connection.refresh_from_db(fields=["failing_since", "calls_reset", "checked", "due"])
    if connection.failing_since and leave > LIST:
        return False
    if connection.calls_reset is None:
        return True
    row = Connection.objects.filter(pk=connection.pk, calls_reset=connection.calls_reset)
    if connection.calls_reset <= now():
        old = connection.checked is None or connection.checked < now() - LIST_FIRST
        if leave > LIST and old and connection.due <= now():
            return False
        return bool(row.update(calls_left=0, calls_reset=now() + SCOUT))
    return bool(row.filter(calls_left__gt=leave).update(calls_left=F("calls_left") - 1))


def claim_with_a_call(
    rows: QuerySet[R],
    connections: Iterable[Connection],
    *,
    leave: int,
    seconds: float,
    of: str = "connection",
) -> R | None:
    """Claim the most overdue row of the first connection that has a call to spare for it."""
    for connection in connections:
        its = rows.filter(**{of: connection})
        if claimable(its).exists() and take(connection, leave) and (row := claim(its, seconds=seconds)):
            return row
    return None


def opens(connection: Connection) -> datetime:
    """When calls are left again."""
    reset = Connection.objects.values_list("calls_reset", flat=True).filter(pk=connection.pk).first()
    return max(now(), reset or now())


def learn(connection: Connection, headers: Mapping[str, str]) -> None:
    """From the headers of an answer; without them the account has no limit."""
    left, pause = headers.get(LEFT, ""), _until_reset(headers)
    if left.isdecimal():
        _note(connection, int(left[:9]), now() + (pause or PAUSE))
    else:
        limited = Connection.objects.filter(pk=connection.pk).exclude(calls_reset=None)
        limited.update(calls_left=None, calls_reset=None)


def note_busy(connection: Connection, headers: Mapping[str, str], retry_after: float | None) -> None:
    """After a 429: nothing is left until it says."""
    told = timedelta(seconds=retry_after) if retry_after else _until_reset(headers)
    _note(connection, 0, now() + (told or PAUSE))


def _note(connection: Connection, left: int, reset: datetime) -> None:
    """Answers may overtake each other: within one window the smaller number is the truth."""
    row = Connection.objects.filter(pk=connection.pk)
    same = row.filter(calls_reset__range=(reset - SAME, reset + SAME))
    if not same.update(calls_left=Least("calls_left", left)):
        row.update(calls_left=left, calls_reset=reset)


def _until_reset(headers: Mapping[str, str]) -> timedelta | None:
    """By the upstream's own clock, for ours may differ; None when it says nothing that makes sense."""
    reset, date = _moment(headers.get(RESET, "")), _moment(headers.get("date", ""))
    if reset is None:
        return None
    return min(max(reset - (date or now()), timedelta(seconds=1)), LONGEST)


def _moment(text: str) -> datetime | None:
    """Of seconds since 1970, an ISO time or an HTTP date."""
    for read in (_of_seconds, datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text)
        except (ValueError, OverflowError, OSError):
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def _of_seconds(text: str) -> datetime:
    return datetime.fromtimestamp(float(text), UTC)
