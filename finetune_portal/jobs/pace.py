"""How many calls the account may still make: learned from the answers, shared by all processes in one row.

The vendor's free plan has five calls a minute (segmind-facts, section 5). While no limit was told, every call
may go. Once one was, each call is taken out of what is left, and after the reset a single one goes ahead
to learn anew. While the upstream is away, only the list asks whether it is back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from django.db.models import F
from django.db.models.functions import Least
from django.utils.timezone import now

from finetune_portal.jobs.models import Connection
from finetune_portal.segmind import Busy, SegmindError

if TYPE_CHECKING:
    from finetune_portal.segmind import SegmindClient

LEFT, RESET = "x-rate-limit-remaining", "x-rate-limit-reset-at-utc"
# How many calls each kind leaves for what matters more: one for people, one for the list.
LIST, SUBMIT, CARRY, DETAILS, CREDITS = 1, 2, 2, 3, 3
SCOUT = timedelta(seconds=10)  # how long the others wait for the one that went ahead
LIST_FIRST = timedelta(seconds=30)  # a list as old as this goes ahead of all others
PAUSE, LONGEST = timedelta(minutes=1), timedelta(days=1)
SAME = timedelta(seconds=2)


def take(leave: int) -> bool:
    """Take one call out of what is left; False if not more than `leave` are, or it is away."""
    connection = Connection.objects.filter(pk=1).first()
    if connection is None:
        return True
    if connection.failing_since and leave > LIST:
        return False
    if connection.calls_reset is None:
        return True
    row = Connection.objects.filter(pk=1, calls_reset=connection.calls_reset)
    if connection.calls_reset <= now():
        old = connection.checked is None or connection.checked < now() - LIST_FIRST
        if leave > LIST and old and connection.due <= now():
            return False
        return bool(row.update(calls_left=0, calls_reset=now() + SCOUT))
    return bool(row.filter(calls_left__gt=leave).update(calls_left=F("calls_left") - 1))


def opens() -> datetime:
    """When calls are left again."""
    reset = Connection.objects.values_list("calls_reset", flat=True).filter(pk=1).first()
    return max(now(), reset or now())


@contextmanager
def counted(client: SegmindClient) -> Iterator[None]:
    """Around one call: learn from its answer what is left."""
    try:
        yield
    except Busy as exc:
        told = timedelta(seconds=exc.retry_after) if exc.retry_after else _until_reset(client.last_headers)
        _note(0, now() + (told or PAUSE))
        raise
    except SegmindError as exc:
        if exc.status is not None:
            _learn(client.last_headers)
        raise
    _learn(client.last_headers)


def _learn(headers: Mapping[str, str]) -> None:
    left, pause = headers.get(LEFT, ""), _until_reset(headers)
    if left.isdecimal():
        _note(int(left[:9]), now() + (pause or PAUSE))
    else:
        Connection.objects.exclude(calls_reset=None).update(calls_left=None, calls_reset=None)


def _note(left: int, reset: datetime) -> None:
    """Answers may overtake each other: within one window the smaller number is the truth."""
    row, _ = Connection.objects.get_or_create(pk=1)
    same = Connection.objects.filter(pk=row.pk, calls_reset__range=(reset - SAME, reset + SAME))
    if not same.update(calls_left=Least("calls_left", left)):
        Connection.objects.filter(pk=row.pk).update(calls_left=left, calls_reset=reset)


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
