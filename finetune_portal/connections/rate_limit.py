"""How many calls an account may still make: told by the answers, or set; shared by all processes.

The vendor's free plan has five calls a minute (docs/provider-api.md, 12.2). While no limit is known, every
call may go. Once the answers told one, each call is taken out of what is left, and after the reset a single
one goes ahead to learn anew. Where one is set, each call is a row for a minute, whatever the answers say.
While the upstream is away, only the list asks whether it is back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

from django.db import transaction
from django.db.models import F, Min, QuerySet
from django.db.models.functions import Coalesce, Greatest, Least
from django.utils.timezone import now

from finetune_portal.connections.models import Call, Connection
from finetune_portal.queue.leases import Leased, claim, claimable

# The names that public clients read (docs/provider-api.md, 12.3), and those in use elsewhere.
LEFT = ("x-rate-limit-remaining", "x-ratelimit-remaining", "ratelimit-remaining")
RESET = ("x-rate-limit-reset-at-utc", "x-ratelimit-reset", "ratelimit-reset")
# How many calls each kind leaves for what matters more: one for people, one for the list.
PERSON, LIST, SUBMIT, CARRY, DETAILS, CREDITS, EXTRA = 0, 1, 2, 2, 3, 3, 4
WINDOW = timedelta(seconds=62)  # a call may be on its way for longer than the one a minute later
SCOUT = timedelta(seconds=10)  # how long the others wait for the one that went ahead
LIST_FIRST = timedelta(seconds=30)  # a list as old as this goes ahead of all others,
LIST_LATE = timedelta(seconds=50)  # and then takes the last call, if the next come when it is
OLDEST = timedelta(seconds=58)  # older than this
PAUSE, LONGEST = timedelta(minutes=1), timedelta(days=1)
SAME = timedelta(seconds=2)

R = TypeVar("R", bound=Leased)


def take(connection: Connection, leave: int) -> bool:
    """Take one call out of what is left; False if not more than `leave` are, or it is away."""
    connection.refresh_from_db(
        fields=["failing_since", "calls_left", "calls_reset_at", "checked_at", "due_at"]
    )
    if connection.failing_since and leave > LIST:
        return False
    if leave == LIST and _is_late(connection):
        leave = PERSON
    return _is_left(connection, leave) and _may_be_made(connection, leave)


def _is_late(connection: Connection) -> bool:
    """States must be shown within a minute, so the list does not wait any longer for calls."""
    listed = connection.checked_at
    return listed is not None and listed < now() - LIST_LATE and opens(connection) > listed + OLDEST


def _is_left(connection: Connection, leave: int) -> bool:
    """By what the answers told."""
    if connection.calls_reset_at is None:
        return True
    row = Connection.objects.filter(pk=connection.pk, calls_reset_at=connection.calls_reset_at)
    if connection.calls_reset_at <= now():
        if leave > PERSON and not _may_go_ahead(connection, leave):
            return False
        return bool(row.update(calls_left=0, calls_reset_at=now() + SCOUT))
    return bool(row.filter(calls_left__gt=leave).update(calls_left=F("calls_left") - 1))


def _may_go_ahead(connection: Connection, leave: int) -> bool:
    """The first after a reset: the list when it is old, and nothing else for it when no call was left over.

    In a window that slides only one call may be new, and the list would miss it for a whole minute. Of an
    account that tells no number nothing such is known: after its pause all go on.
    """
    age = now() - connection.checked_at if connection.checked_at else LIST_LATE
    if leave <= LIST:
        return age > LIST_FIRST or connection.calls_left != 0
    is_its_time = age > LIST_FIRST and connection.due_at <= now()
    return not is_its_time and (age >= LIST_LATE or connection.calls_left != 0)


def _may_be_made(connection: Connection, leave: int) -> bool:
    """By what is set. A window that slides leaves no new minute, so the list keeps its share by `spread`."""
    most = connection.calls_per_minute
    if not most:
        return True
    with transaction.atomic():
        Connection.objects.select_for_update().get(pk=connection.pk)  # one after the other
        Call.objects.filter(connection=connection, made_at__lte=now() - WINDOW).delete()
        if connection.calls.count() + min(leave, SUBMIT, most - 1) >= most:
            return False
        Call.objects.create(connection=connection)
    return True


def spread(connection: Connection) -> float:
    """The least seconds from one list to the next, so that the calls of a minute last for all of it."""
    connection.refresh_from_db(fields=["calls_left", "calls_reset_at"])
    told = timedelta()
    if connection.calls_reset_at and connection.calls_left is not None:
        told = (connection.calls_reset_at - now()) / max(1, connection.calls_left - LIST)
    most = connection.calls_per_minute
    return max(told, WINDOW * 3 / max(3, most) if most else timedelta()).total_seconds()


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
    reset = Connection.objects.values_list("calls_reset_at", flat=True).filter(pk=connection.pk).first()
    first = connection.calls.aggregate(first=Min("made_at"))["first"] if connection.calls_per_minute else None
    return max(now(), reset or now(), first + WINDOW if first else now())


def learn(connection: Connection, headers: Mapping[str, str]) -> None:
    """From the headers of an answer; without them the account has no limit, once no pause holds any more."""
    left, pause = _first(headers, LEFT), _until_reset(headers)
    if left.isdecimal():
        _note(connection, int(left[:9]), now() + (pause or PAUSE))
    else:
        over = Connection.objects.filter(pk=connection.pk, calls_reset_at__lte=now() + SCOUT)
        over.update(calls_left=None, calls_reset_at=None)


def note_busy(connection: Connection, headers: Mapping[str, str], retry_after: float | None) -> None:
    """After a 429: nothing is left until it says, and no number where the account tells none."""
    told = timedelta(seconds=retry_after) if retry_after else _until_reset(headers)
    _note(connection, 0 if _first(headers, LEFT) else None, now() + (told or PAUSE))


def _note(connection: Connection, left: int | None, reset: datetime) -> None:
    """Answers may overtake each other: within one window the smaller number and the later end are the truth.

    What a scout has set, 10 s from then, may look like the same window but ends sooner than the real one.
    """
    row = Connection.objects.filter(pk=connection.pk)
    same = row.filter(calls_reset_at__range=(reset - SAME, reset + SAME))
    least = left if left is None else Least(Coalesce("calls_left", 0), left)
    if not same.update(calls_left=least, calls_reset_at=Greatest("calls_reset_at", reset)):
        row.update(calls_left=left, calls_reset_at=reset)


def _until_reset(headers: Mapping[str, str]) -> timedelta | None:
    """By the upstream's own clock, for ours may differ; None when it says nothing that makes sense."""
    told, date = _first(headers, RESET), _moment(headers.get("date", "")) or now()
    if told.isdecimal() and len(told) < 8:
        reset: datetime | None = date + timedelta(seconds=int(told))
    else:
        reset = _moment(told)
    if reset is None:
        return None
    return min(max(reset - date, timedelta(seconds=1)), LONGEST)


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((headers[name].strip() for name in names if name in headers), "")


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
