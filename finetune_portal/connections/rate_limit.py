"""Limit the calls of an account, for all processes: by headers, the operator's setting, or an own count.

While no answer names a limit, every call may go. Once one does, each call is subtracted from `calls_left`;
after `calls_reset_at` a single call, the probe, goes first and its answer tells the new number. Each call
is a row for a minute: where the operator set a limit, the rows are held to it, whatever the answers say.
The vendor documents when a limit ends but no counter, so after a 429 without one the number of calls in the
minute before is the limit for an hour. While the provider is away, only the list call asks whether it is
back. The vendor's free plan has five calls a minute (docs/provider-api.md, 12.2).
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

from finetune_portal.connections.models import Call, Connection, Kind
from finetune_portal.queue.leases import Leased, claim, claimable

# The names that public clients read (docs/provider-api.md, 12.3), and those in use elsewhere.
REMAINING_HEADERS = ("x-rate-limit-remaining", "x-ratelimit-remaining", "ratelimit-remaining")
RESET_HEADERS = ("x-rate-limit-reset-at-utc", "x-ratelimit-reset", "ratelimit-reset")

# The reserve: how many calls each kind of call leaves for more urgent kinds.
USER, LIST, SUBMIT, TRANSFER, DETAILS, CREDITS, EXTENSION = 0, 1, 2, 2, 3, 3, 4
PRICE = 3  # what a page asks by itself: a submit may go right after it

MINUTE = timedelta(seconds=60)
LEAST_LIMIT = 5  # of the vendor's free plan; neighbours with the same key may make the count smaller
WINDOW = timedelta(seconds=62)  # two more than a minute: a call may travel longer than the next one
PROBE = timedelta(seconds=10)  # how long the other calls wait for the answer of the probe
LIST_DUE = timedelta(seconds=30)  # after this long since the last list, the next list is the probe,
LIST_OVERDUE = timedelta(seconds=50)  # and after this long it may take the last call, if waiting for
MAX_LIST_AGE = timedelta(seconds=58)  # the next one would make the list older than this
DEFAULT_RESET, MAX_RESET = timedelta(minutes=1), timedelta(days=1)
SAME_RESET = timedelta(seconds=2)  # resets as close as this belong to one window
LIMIT_FIELDS = ["failing_since", "checked_at", "due_at"]
LIMIT_FIELDS += ["calls_left", "calls_reset_at", "calls_learned", "calls_learned_at"]

R = TypeVar("R", bound=Leased)


def take_call(connection: Connection, *, reserve: int) -> bool:
    """Take one of the calls that are left. False if only `reserve` are left, or the provider is away."""
    connection.refresh_from_db(fields=LIMIT_FIELDS)
    if connection.failing_since and reserve > LIST:
        return False
    if reserve == LIST and _is_list_overdue(connection):
        reserve = USER
    return _take_by_headers(connection, reserve) and _take_by_count(connection, reserve)


def take_call_for_question(connection: Connection) -> bool:
    """Take a call for what a page asks by itself, such as a price: acts of people have the last ones."""
    connection.refresh_from_db(fields=LIMIT_FIELDS)
    if connection.failing_since:
        return False
    return _take_by_headers(connection, PRICE) and _take_by_count(connection, PRICE, is_question=True)


def claim_with_call(
    rows: QuerySet[R],
    connections: Iterable[Connection],
    *,
    reserve: int,
    seconds: float,
    connection_field: str = "connection",
) -> R | None:
    """Claim the most overdue row of a connection that has a call left for it, the most overdue one first.

    Rows of one account may be due again before all were asked for: no other account waits for that. Most of
    the time nothing is due: one query sees that, and `connections` is not gone through.
    """
    by_connection = claimable(rows).order_by().values_list(connection_field)
    due = dict(by_connection.annotate(first=Min("due_at")))
    if not due:
        return None
    waiting = (each for each in connections if each.pk in due)
    for connection in sorted(waiting, key=lambda each: due[each.pk]):
        if not take_call(connection, reserve=reserve):
            continue
        if row := claim(rows.filter(**{connection_field: connection}), seconds=seconds):
            return row
    return None


def min_poll_interval(connection: Connection) -> float:
    """The least seconds from one list call to the next, so that the calls last until the reset."""
    connection.refresh_from_db(fields=["calls_left", "calls_reset_at"])
    by_headers = by_setting = timedelta()
    if connection.calls_reset_at and connection.calls_left is not None:
        by_headers = (connection.calls_reset_at - now()) / max(1, connection.calls_left - LIST)
    if connection.calls_per_minute:
        by_setting = WINDOW * 3 / max(3, connection.calls_per_minute)
    return max(by_headers, by_setting).total_seconds()


def available_at(connection: Connection) -> datetime:
    """When the next call may go."""
    reset = Connection.objects.values_list("calls_reset_at", flat=True).filter(pk=connection.pk).first()
    times = [now()] if reset is None else [now(), reset]
    if connection.calls_per_minute:
        oldest = connection.calls.aggregate(made_at=Min("made_at"))["made_at"]
        times += [] if oldest is None else [oldest + WINDOW]
    return max(times)


def update_from_headers(connection: Connection, headers: Mapping[str, str]) -> None:
    """Store the limit that an answer names. Without one, the account has none, once no reset is ahead."""
    remaining = _first_header(headers, REMAINING_HEADERS)
    if remaining.isdecimal():
        _store(connection, int(remaining[:9]), now() + (_reset_in(headers) or DEFAULT_RESET))
    else:
        rows = Connection.objects.filter(pk=connection.pk, calls_reset_at__lte=now() + PROBE)
        rows.update(calls_left=None, calls_reset_at=None)


def note_rate_limited(connection: Connection, headers: Mapping[str, str], retry_after: float | None) -> None:
    """After a 429: no call is left until the reset. The number stays unknown if the answer names none."""
    pause = timedelta(seconds=retry_after) if retry_after else _reset_in(headers)
    calls_left = 0 if _first_header(headers, REMAINING_HEADERS) else None
    _store(connection, calls_left, now() + (pause or DEFAULT_RESET))
    if calls_left is None:
        taken = connection.calls.filter(made_at__gt=now() - MINUTE).count() - 1  # without the refused one
        learned = {"calls_learned": max(LEAST_LIMIT, taken), "calls_learned_at": now()}
        Connection.objects.filter(pk=connection.pk).update(**learned)


def _is_list_overdue(connection: Connection) -> bool:
    """States are shown at most a minute late, so the list call does not wait any longer."""
    listed_at = connection.checked_at
    if listed_at is None or listed_at >= now() - LIST_OVERDUE:
        return False
    return available_at(connection) > listed_at + MAX_LIST_AGE


def _take_by_headers(connection: Connection, reserve: int) -> bool:
    """Take a call by what the answers said. The update is conditional: two callers never take the same."""
    if connection.calls_reset_at is None:
        return True
    row = Connection.objects.filter(pk=connection.pk, calls_reset_at=connection.calls_reset_at)
    if connection.calls_reset_at > now():
        return bool(row.filter(calls_left__gt=reserve).update(calls_left=F("calls_left") - 1))
    if reserve > USER and not _may_probe(connection, reserve):
        return False
    return bool(row.update(calls_left=0, calls_reset_at=now() + PROBE))


def _may_probe(connection: Connection, reserve: int) -> bool:
    """Whether this call may be the first after a reset.

    If no call was left over, the window may slide: then only one call is new, and the list, which would
    miss it for a whole minute, goes first when it is due. An account that names no number (`calls_left` is
    None) does not slide as far as is known: after its pause every call goes on.
    """
    list_age = now() - connection.checked_at if connection.checked_at else LIST_OVERDUE
    has_no_call_over = connection.calls_left == 0
    if reserve <= LIST:
        return list_age > LIST_DUE or not has_no_call_over
    is_list_next = list_age > LIST_DUE and connection.due_at <= now()
    return not is_list_next and (list_age >= LIST_OVERDUE or not has_no_call_over)


def _take_by_count(connection: Connection, reserve: int, *, is_question: bool = False) -> bool:
    """Take a call by the limit that was set or learned. The window slides.

    `min_poll_interval` keeps the list's share.
    """
    if connection.kind == Kind.ENGINE:
        return True
    limit = connection.calls_per_minute
    with transaction.atomic():
        if limit:
            Connection.objects.select_for_update().get(pk=connection.pk)  # one caller after the other
        Call.objects.filter(connection=connection, made_at__lte=now() - WINDOW).delete()
        held_back = PRICE if is_question else min(reserve, SUBMIT)
        if limit and connection.calls.count() + min(held_back, limit - 1) >= limit:
            return False
        Call.objects.create(connection=connection)
    return True


def _store(connection: Connection, calls_left: int | None, reset_at: datetime) -> None:
    """Answers may overtake each other: of one window, the smaller number and the later reset are right.

    The reset that a probe has set, 10 s from then, may look like the same window but comes before the real
    one.
    """
    row = Connection.objects.filter(pk=connection.pk)
    same_window = row.filter(calls_reset_at__range=(reset_at - SAME_RESET, reset_at + SAME_RESET))
    least = calls_left if calls_left is None else Least(Coalesce("calls_left", 0), calls_left)
    if not same_window.update(calls_left=least, calls_reset_at=Greatest("calls_reset_at", reset_at)):
        row.update(calls_left=calls_left, calls_reset_at=reset_at)


def _reset_in(headers: Mapping[str, str]) -> timedelta | None:
    """The time until the reset by the provider's own clock, as ours may differ. None if it names no time."""
    reset, date = _first_header(headers, RESET_HEADERS), _parse_time(headers.get("date", "")) or now()
    if reset.isdecimal() and len(reset) < 8:
        reset_at: datetime | None = date + timedelta(seconds=int(reset))
    else:
        reset_at = _parse_time(reset)
    if reset_at is None:
        return None
    return min(max(reset_at - date, timedelta(seconds=1)), MAX_RESET)


def _first_header(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((headers[name].strip() for name in names if name in headers), "")


def _parse_time(text: str) -> datetime | None:
    """Seconds since 1970, an ISO time or an HTTP date."""
    for parse in (_from_seconds, datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(text)
        except (ValueError, OverflowError, OSError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def _from_seconds(text: str) -> datetime:
    return datetime.fromtimestamp(float(text), UTC)
