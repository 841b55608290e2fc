"""Rows as the queue: who gets which row, and what a late holder can still do to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.jobs.models import Job
from finetune_portal.queue.leases import MAX_BACKOFF, backoff, claim, held_by, renew, renewing
from tests.people import make_job
from tests.waiting import until


def take() -> Job | None:
    return claim(Job.objects.all(), seconds=60)


def run_out() -> None:
    Job.objects.update(lease_expires_at=now() - timedelta(seconds=1))


def test_the_most_overdue_row_comes_first(alice: User) -> None:
    make_job(alice, name="later", due_at=now() - timedelta(seconds=1))
    first = make_job(alice, name="first", due_at=now() - timedelta(hours=1))
    make_job(alice, name="not yet", due_at=now() + timedelta(hours=1))
    taken = take()
    assert taken == first
    assert [row and row.name for row in (take(), take())] == ["later", None]


def test_a_row_is_held_by_one_and_free_again_when_the_lease_runs_out(alice: User) -> None:
    make_job(alice)
    first = take()
    assert first
    assert take() is None
    run_out()
    second = take()
    assert second
    assert second.lease != first.lease
    assert second.attempts == 2


def test_two_who_saw_the_same_row_get_it_once(alice: User) -> None:
    """S2: the row was free when both looked; the write of the slower one matches nothing."""
    make_job(alice)
    winners: list[Job | None] = []

    def quicker(execute: Any, sql: str, *args: Any) -> Any:
        answer = execute(sql, *args)
        if sql.startswith("SELECT") and not winners:
            winners.append(None)
            winners.append(take())
        return answer

    with connection.execute_wrapper(quicker):
        assert take() is None
    assert winners[-1] == Job.objects.get()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_who_is_just_taking_a_row(alice: User) -> None:
    """Two workers go on with two rows; none is left lying for the one that came second."""
    first, second = make_job(alice), make_job(alice)
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            assert take() == first
            assert other.submit(take).result(60) == second
            assert other.submit(take).result(60) is None
        other.submit(connections.close_all).result()


def test_a_late_holder_writes_nothing(alice: User) -> None:
    """D8"""
    make_job(alice)
    late = take()
    assert late
    assert renew(late, seconds=60)
    run_out()
    assert take()
    assert not renew(late, seconds=60)
    assert held_by(late).update(name="too late") == 0


@pytest.mark.django_db(transaction=True)
def test_a_long_step_keeps_its_lease_and_a_dead_one_loses_it(alice: User) -> None:
    make_job(alice)
    held = claim(Job.objects.all(), seconds=6)
    assert held
    assert held.lease_expires_at
    with renewing(held, seconds=6):
        until(
            lambda: held_by(held).filter(lease_expires_at__gt=held.lease_expires_at).exists(), why="renewed"
        )
        assert take() is None
    until(lambda: take() is not None, why="nobody renews it any more")


@pytest.mark.parametrize("attempts", [0, 1, 5, 100, 10_000])
def test_a_pause_grows_but_never_beyond_ten_minutes(attempts: int) -> None:
    pauses = [backoff(attempts, first=2).total_seconds() for _ in range(200)]
    assert min(pauses) >= 1
    assert max(pauses) <= min(MAX_BACKOFF, 2 * 2**attempts)
    assert attempts == 0 or len(set(pauses)) > 100, "no two retry in step"
