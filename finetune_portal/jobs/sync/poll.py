"""Poll each connection: one list call for all jobs of the team, or a call that tells how its provider is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils.timezone import now

from finetune_portal.connections import capabilities, declared, rate_limit
from finetune_portal.connections import services as connections
from finetune_portal.connections.client import adapter_for, client_for
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import DOUBTFUL, FOLLOWED, State
from finetune_portal.jobs.sync import cost, lost
from finetune_portal.jobs.sync.apply_list import apply_list
from finetune_portal.jobs.sync.details import LEASE
from finetune_portal.jobs.timeline import Source
from finetune_portal.providers.errors import CallError, RateLimitedError, UnauthorizedError
from finetune_portal.providers.segmind import FineTune
from finetune_portal.queue.leases import claim, held_by, jitter, renew

MAX_PAUSE = 300.0
MAX_DOUBLINGS = 8
MIN_POLL_SECONDS = 5.0  # between two polls of a connection, however many webhooks come
CATCH_UP = timedelta(minutes=5)


def poll_now() -> None:
    """Poll every connection at the next tick, whatever pause it keeps."""
    Connection.objects.update(due_at=now())


def poll_soon() -> None:
    """Poll earlier because something may have changed, but not while the provider is away."""
    for connection in Connection.objects.in_use():
        checked = connection.checked_at
        pause = max(min_poll_seconds(connection), rate_limit.min_poll_interval(connection))
        soon = max(now(), checked + timedelta(seconds=pause)) if checked else now()
        Connection.objects.filter(pk=connection.pk, failing_since=None, due_at__gt=soon).update(due_at=soon)


def min_poll_seconds(connection: Connection) -> float:
    return min(MIN_POLL_SECONDS, connection.poll_seconds)


def poll_next(*, source: str = Source.POLL) -> bool:
    """Poll the connection that is due and note how its provider is. False when none is due."""
    connections.built_in()
    connection = claim(Connection.objects.in_use(), seconds=LEASE)
    if connection is None:
        return False
    if not rate_limit.take_call(connection, reserve=rate_limit.LIST):
        _wait_for_calls(connection)
        return False
    asked_at = now()
    try:
        finetunes = _ask(connection)
    except RateLimitedError:
        _wait_for_calls(connection)
    except CallError as exc:
        _failed(connection, exc)
    else:
        if _was_away(connection):  # a lost job may be listed late, so no decision is asked for at once
            connection.jobs.filter(state=State.UNCONFIRMED).update(due_at=now() + CATCH_UP)
        is_complete = True
        if finetunes is None:
            lost.find_at_provider(connection)
            cost.try_admin_key(connection)
        else:
            is_complete = apply_list(finetunes, connection, asked_at, source)
        renew(connection, seconds=LEASE)
        balance = _balance(connection) if declared.shows_balance(connection) else {}
        _succeeded(connection, balance, _next_poll_at(connection, asked_at, is_complete=is_complete))
    return True


def _ask(connection: Connection) -> list[FineTune] | None:
    """The list of all jobs; None at a provider without one, where this only tells whether it answers."""
    if declared.lists_jobs(connection):
        with client_for(connection) as client:
            return client.list()
    with adapter_for(connection) as adapter:
        adapter.check_key()
    return None


def _was_away(connection: Connection) -> bool:
    """Whether the provider or the portal itself did not answer for a while."""
    return (
        bool(connection.failing_since)
        or not connection.last_answer_at
        or connection.last_answer_at < now() - CATCH_UP
    )


def _next_poll_at(connection: Connection, asked_at: datetime, *, is_complete: bool) -> datetime:
    """Count from the last list, however long it took. `is_complete`: no job of others is left to adopt."""
    followed = (
        FOLLOWED if declared.lists_jobs(connection) else ()
    )  # elsewhere by calls of their own (follow.py)
    moving = connection.jobs.filter(state__in=(*followed, *DOUBTFUL, State.QUEUED))
    is_idle = is_complete and not moving.exists()
    pause = connection.idle_seconds if is_idle else connection.poll_seconds
    pause = max(pause, rate_limit.min_poll_interval(connection))
    return max(now(), asked_at + jitter(pause))


def _succeeded(connection: Connection, balance: dict[str, Any], due_at: datetime) -> None:
    is_changed = "credits" in balance and balance["credits"] != connection.credits
    recovered = bool(connection.failing_since or connection.is_key_rejected)
    held_by(connection).filter(due_at=connection.due_at).update(due_at=due_at)
    if recovered:
        capabilities.expire(connection)
    held_by(connection).update(
        checked_at=now(),
        last_answer_at=now(),
        failing_since=None,
        failure="",
        is_key_rejected=False,
        **balance,
        attempts=0,
        lease_expires_at=None,
        updated_at=now() if recovered or is_changed else connection.updated_at,
    )


def _balance(connection: Connection) -> dict[str, Any]:
    """Fetch the balance once a minute and after each job, with a call that nothing else needs.

    Return it as fields of the connection, or nothing.
    """
    has_ended = cost.awaiting_balance(connection).exists()
    is_time = connection.checked_at is None or now().second < connection.poll_seconds or has_ended
    if not (is_time and rate_limit.take_call(connection, reserve=rate_limit.CREDITS)):
        return {}
    asked_at = now()
    try:
        with adapter_for(connection) as adapter:
            balance = adapter.balance()
    except CallError:
        return {}
    if balance is None:
        return {}
    credits = float(balance.amount)
    cost.record_balance(connection, credits, asked_at=asked_at)
    return {"credits": credits, "credits_at": asked_at}


def _wait_for_calls(connection: Connection) -> None:
    seconds = max(1.0, (rate_limit.available_at(connection) - now()).total_seconds())
    due_at = now() + timedelta(seconds=min(seconds, min_poll_seconds(connection)))
    held_by(connection).update(attempts=connection.attempts - 1, due_at=due_at, lease_expires_at=None)


def _failed(connection: Connection, exc: CallError) -> None:
    """Double the pause with each failure; a rejected key gets the longest pause at once."""
    is_key_rejected = isinstance(exc, UnauthorizedError)
    doublings = MAX_DOUBLINGS if is_key_rejected else min(connection.attempts, MAX_DOUBLINGS)
    pause = max(connection.poll_seconds, min(MAX_PAUSE, connection.poll_seconds * 2**doublings))
    held_by(connection).update(
        checked_at=now(),
        failing_since=connection.failing_since or now(),
        failure=exc.message[:500],
        is_key_rejected=is_key_rejected,
        due_at=now() + jitter(pause),
        lease_expires_at=None,
        updated_at=now(),
    )
