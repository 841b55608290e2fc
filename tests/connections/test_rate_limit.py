"""How many calls are left: told in headers, set by the operator, shared by the worker and people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import rate_limit, services
from finetune_portal.connections.models import Call, Connection
from tests.people import HTMX, make_job, signed_in
from tests.provider import ScriptedProvider, says
from tests.worker.driving import follow_now, point_at


@pytest.fixture
def fake(settings: Any, db: None) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        running.states = ("AVAILABLE",)
        point_at(settings, running)
        yield running


@pytest.fixture
def connection(fake: ScriptedProvider) -> Connection:
    return services.built_in()


def fresh(connection: Connection) -> Connection:
    return Connection.objects.get(pk=connection.pk)


@pytest.mark.parametrize(
    ("left", "reset", "seconds"),
    [
        ("x-rate-limit-remaining", ("x-rate-limit-reset-at-utc", "{at}"), 30),
        ("x-ratelimit-remaining", ("x-ratelimit-reset", "{epoch}"), 30),
        ("x-ratelimit-remaining", ("x-ratelimit-reset", "30"), 30),
        ("ratelimit-remaining", ("ratelimit-reset", "30"), 30),
        ("x-rate-limit-remaining", ("x-rate-limit-reset-at-utc", "soon"), 60),
        ("x-rate-limit-remaining", ("x-other", ""), 60),
    ],
)
def test_the_headers_have_several_names(
    connection: Connection, left: str, reset: tuple[str, str], seconds: int
) -> None:
    at = datetime.now(UTC) + timedelta(seconds=30)
    name, value = reset
    header = value.format(at=at.isoformat(), epoch=int(at.timestamp()))
    rate_limit.update_from_headers(connection, {left: " 3 ", name: header})
    stands = fresh(connection)
    assert stands.calls_left == 3
    assert stands.calls_reset_at
    assert (stands.calls_reset_at - now()).total_seconds() == pytest.approx(seconds, abs=12)


def test_an_answer_without_headers_ends_no_pause(connection: Connection) -> None:
    """It may have been on its way when the provider told another caller to wait."""
    rate_limit.note_rate_limited(connection, {}, 60.0)
    rate_limit.update_from_headers(connection, {})
    assert not rate_limit.take_call(connection, reserve=rate_limit.USER)
    Connection.objects.update(calls_reset_at=now())
    assert rate_limit.take_call(connection, reserve=rate_limit.LIST), "one goes ahead"
    assert not rate_limit.take_call(connection, reserve=rate_limit.LIST)
    rate_limit.update_from_headers(connection, {})
    assert rate_limit.take_call(connection, reserve=rate_limit.LIST), "and found no limit"


def test_the_one_who_went_ahead_learns_the_real_end(connection: Connection) -> None:
    """It is a second later than others were told to wait for that one."""
    rate_limit.note_rate_limited(connection, {}, 60.0)
    Connection.objects.update(calls_reset_at=now())
    assert rate_limit.take_call(connection, reserve=rate_limit.LIST)
    fields = {
        "x-rate-limit-remaining": "0",
        "x-rate-limit-reset-at-utc": str(int(rate_limit.PROBE.total_seconds()) + 1),
    }
    rate_limit.update_from_headers(connection, fields)
    assert (rate_limit.available_at(connection) - now()) > rate_limit.PROBE


@pytest.mark.parametrize(("age", "reset", "goes"), [(55, 30, True), (40, 30, False), (55, 2, False)])
def test_an_old_list_takes_the_last_call_if_the_next_come_too_late(
    connection: Connection, age: int, reset: int, goes: bool
) -> None:
    """Each state is shown within a minute; until then the last call is left for people."""
    ends, listed = now() + timedelta(seconds=reset), now() - timedelta(seconds=age)
    Connection.objects.update(calls_left=1, calls_reset_at=ends, checked_at=listed)
    assert rate_limit.take_call(connection, reserve=rate_limit.LIST) is goes
    assert not rate_limit.take_call(connection, reserve=rate_limit.SUBMIT)


@pytest.mark.parametrize(
    ("age", "wait", "goes"),
    [
        (5, [rate_limit.LIST, rate_limit.SUBMIT], rate_limit.USER),
        (31, [rate_limit.SUBMIT], rate_limit.LIST),
        (55, [], rate_limit.SUBMIT),
    ],
)
def test_when_no_call_was_left_over_new_ones_are_kept_for_the_list(
    connection: Connection, age: int, wait: list[int], goes: int
) -> None:
    """Where a minute slides, a single call may be new. People always go; nobody waits for an idle list."""
    listed = now() - timedelta(seconds=age)
    due = now() + timedelta(minutes=1) * (age > rate_limit.LIST_OVERDUE.total_seconds())
    Connection.objects.update(calls_left=0, calls_reset_at=now(), checked_at=listed, due_at=due)
    assert not any(rate_limit.take_call(connection, reserve=kind) for kind in wait)
    assert rate_limit.take_call(connection, reserve=goes)


def test_who_presses_a_button_gets_no_429_of_our_making(fake: ScriptedProvider, alice: User) -> None:
    paid = fake.adds("hats")
    job = make_job(alice, "ready", request_id=paid.id, cloud_storage_url=str(paid.cloud_storage_url))
    rate_limit.note_rate_limited(job.connection, {}, 40.0)
    client = signed_in(alice)
    answer = client.post(f"/jobs/{job.pk}/public/", {"public": "on"}, headers=HTMX).content.decode()
    assert re.search(r"account has no calls left at the moment. Try again in [34]\d s\.", answer)
    assert fake.requests == []
    rate_limit.update_from_headers(job.connection, {"x-rate-limit-remaining": "1"})
    Connection.objects.update(calls_left=1)
    assert not rate_limit.take_call(job.connection, reserve=rate_limit.LIST), "the last is left for people"
    client.post(f"/jobs/{job.pk}/public/", {"public": "on"}, headers=HTMX)
    assert len(fake.requests) == 1


def test_what_is_set_holds_for_everyone(
    fake: ScriptedProvider, alice: User, dana: User, settings: Any
) -> None:
    settings.LOCAL_ENGINE, settings.CALLS_A_MINUTE = False, 5
    connection = services.built_in()
    taken = [rate_limit.take_call(connection, reserve=rate_limit.LIST) for _ in range(6)]
    assert taken == [True] * 4 + [False] * 2
    path = f"/settings/connections/{connection.pk}/test/"
    assert "The key works." in signed_in(dana).post(path, headers=HTMX).content.decode()
    assert "no calls left at the moment" in signed_in(dana).post(path, headers=HTMX).content.decode()
    assert len(fake.requests) == 1
    Call.objects.update(made_at=now() - timedelta(seconds=63))
    assert rate_limit.take_call(connection, reserve=rate_limit.SUBMIT)
    assert Call.objects.count() == 1, "the old ones are forgotten"


@pytest.mark.parametrize("most", [1, 2])
def test_even_the_smallest_limit_lets_the_list_through(
    fake: ScriptedProvider, settings: Any, most: int
) -> None:
    settings.LOCAL_ENGINE, settings.CALLS_A_MINUTE = False, most
    follow_now()
    assert len(fake.sent("list")) == 1


def test_the_local_engine_has_no_limit(connection: Connection, settings: Any) -> None:
    settings.CALLS_A_MINUTE = 1
    assert all(rate_limit.take_call(connection, reserve=rate_limit.LIST) for _ in range(5))
    assert not Call.objects.exists()


def test_a_limit_without_a_counter_is_learned_from_the_own_calls(
    fake: ScriptedProvider, settings: Any
) -> None:
    """Only the time of the reset is documented (docs/provider-api.md, 12.3)."""
    settings.LOCAL_ENGINE = False
    connection = services.built_in()
    reset = {"x-rate-limit-reset-at-utc": (now() + timedelta(seconds=30)).isoformat()}
    for _ in range(8):
        assert rate_limit.take_call(connection, reserve=rate_limit.LIST), "nothing is known yet"
        rate_limit.update_from_headers(connection, reset)
    assert rate_limit.take_call(connection, reserve=rate_limit.LIST)
    rate_limit.note_rate_limited(connection, reset, None)
    assert not rate_limit.take_call(connection, reserve=rate_limit.USER), "it waits for the reset"

    Connection.objects.update(calls_reset_at=None)
    Call.objects.all().delete()
    taken = sum(rate_limit.take_call(connection, reserve=rate_limit.LIST) for _ in range(12))
    assert taken == 7, "one of the eight is left for people"
    assert rate_limit.take_call(connection, reserve=rate_limit.USER)
    assert not rate_limit.take_call(connection, reserve=rate_limit.USER)
    Connection.objects.update(calls_learned_at=now() - timedelta(minutes=61))
    assert rate_limit.take_call(connection, reserve=rate_limit.LIST), "the plan may have changed"


def test_a_learned_limit_is_never_below_the_free_plans(fake: ScriptedProvider, settings: Any) -> None:
    """A neighbour with the same key may have used the minute up."""
    settings.LOCAL_ENGINE = False
    connection = services.built_in()
    assert rate_limit.take_call(connection, reserve=rate_limit.LIST)
    rate_limit.note_rate_limited(connection, {}, 1.0)
    assert fresh(connection).calls_learned == 5


def test_news_do_not_use_the_calls_up(fake: ScriptedProvider, settings: Any) -> None:
    """The next look is as far away as makes the rest last."""
    settings.POLL_SECONDS = 1.0
    fake.script("list", *[says(200, [], x_rate_limit_remaining="4", x_rate_limit_reset_at_utc="60")] * 2)
    follow_now()
    connection = Connection.objects.get()
    assert (connection.due_at - now()).total_seconds() > 15
