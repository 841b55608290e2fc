"""What a provider can beyond the vendor's API is asked seldom, and the vendor never."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.connections import capabilities, services
from finetune_portal.connections.models import Connection
from finetune_portal.worker import tasks
from tests.faults.limited import Limited
from tests.provider import ScriptedProvider, breaks, says
from tests.running import RunningEngine
from tests.worker.driving import follow_now, point_at, point_nowhere


@pytest.fixture
def provider(settings: Any, db: None) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        running.can = ("progress", "cancel")
        point_at(settings, running)
        services.built_in()
        yield running


def can() -> list[str]:
    return Connection.objects.get().capabilities


def waited(**time: float) -> None:
    """Let time pass."""
    row = Connection.objects.get()
    Connection.objects.update(capabilities_due_at=row.capabilities_due_at - timedelta(**time))


def test_it_learns_what_the_engine_can(engine: RunningEngine, settings: Any, db: None) -> None:
    point_at(settings, engine)
    services.built_in()
    assert tasks.fetch_progress()
    assert set(can()) >= {"progress", "cancel"}


def test_it_asks_at_first_and_then_seldom(provider: ScriptedProvider) -> None:
    for _ in range(20):
        tasks.fetch_progress()
    assert len(provider.sent("extra")) == 1
    provider.can = ("progress",)
    waited(minutes=1)
    tasks.fetch_progress()
    assert can() == ["progress"]


def test_elsewhere_once_a_day(provider: ScriptedProvider, settings: Any) -> None:
    settings.SEGMIND_BASE_URL = provider.url.replace(
        "127.0.0.1", "127.1"
    )  # the same, but by no name of a neighbour
    capabilities.refresh_next()
    waited(hours=23)
    assert not capabilities.refresh_next()
    waited(hours=1)
    assert capabilities.refresh_next()
    assert len(provider.sent("extra")) == 2


@pytest.mark.parametrize(
    "address", ["https://api.segmind.com", "https://segmind.com", "https://eu.API.segmind.com/x"]
)
def test_the_vendor_is_known_to_have_none_and_never_asked(settings: Any, db: None, address: str) -> None:
    services.built_in()
    settings.SEGMIND_BASE_URL = address
    Connection.objects.update(capabilities=["cancel"])
    assert not capabilities.refresh_next()
    assert can() == []
    assert not Connection(kind="own", base_url="https://notsegmind.com").is_segmind


def test_it_asks_again_once_it_is_back(provider: ScriptedProvider) -> None:
    tasks.fetch_progress()
    provider.stop()
    follow_now()
    waited(days=2)
    assert not capabilities.refresh_next(), "it is away"
    provider.can = ("progress",)
    provider.start()
    follow_now()
    assert capabilities.refresh_next()
    assert can() == ["progress"]


def test_a_lost_answer_leaves_what_was_known(provider: ScriptedProvider, settings: Any) -> None:
    tasks.fetch_progress()
    for trouble in (breaks(taken=False), says(401), says(429)):
        provider.script("extra", trouble)
        waited(minutes=1)
        assert capabilities.refresh_next()
        assert can() == ["cancel", "progress"]
        Connection.objects.update(calls_reset_at=None)
    point_nowhere(settings)
    waited(minutes=2)
    assert capabilities.refresh_next()
    assert can() == ["cancel", "progress"]


def test_what_has_no_such_address_can_nothing(provider: ScriptedProvider) -> None:
    tasks.fetch_progress()
    provider.can = ()
    waited(minutes=1)
    tasks.fetch_progress()
    assert can() == []


def test_it_takes_no_call_that_something_else_may_need(settings: Any, db: None) -> None:
    """The vendor's smallest plan has five calls a minute."""
    with Limited(calls=5) as fake:
        fake.can = ("progress",)
        point_at(settings, fake)
        services.built_in()
        follow_now()
        Connection.objects.update(calls_left=4, calls_reset_at=now() + timedelta(minutes=1))
        assert not capabilities.refresh_next()
        assert not fake.sent("extra")
