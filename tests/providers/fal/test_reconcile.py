"""A job whose answer was lost is looked for by the address of its ZIP; absence proves nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from finetune_portal.providers.contract import JobRequest, Match, Phase
from finetune_portal.providers.fal import FalAdapter
from finetune_portal.providers.fal import history as history_module
from finetune_portal.providers.http import paging
from tests.fal.server import FakeFal
from tests.provider import says
from tests.providers.fal.conftest import failure, request_for, uploaded


@pytest.fixture
def lost(fal: FakeFal, adapter: FalAdapter) -> JobRequest:
    """A request whose answer was lost, beside jobs of others with other datasets."""
    fal.steps = ("IN_QUEUE",)
    adapter.submit(request_for("https://x.example/other.zip"))
    request = request_for(uploaded(adapter))
    fal.loses_answer = True
    failure(lambda: adapter.submit(request))
    fal.loses_answer = False
    adapter.submit(request_for(request.dataset.partition("?")[0]))
    return request


def sent_at() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


def test_a_job_is_found_once_it_has_ended(fal: FakeFal, adapter: FalAdapter, lost: JobRequest) -> None:
    assert adapter.reconcile(lost, sent_at()).match is Match.NOT_SEEN
    for job in fal.jobs:
        fal.finish(job)
    result = adapter.reconcile(lost, sent_at())
    assert result.match is Match.FOUND
    assert result.handle
    assert result.handle.id == fal.jobs[1].id
    assert adapter.poll(result.handle).phase is Phase.AVAILABLE
    assert len(fal.sent("submit")) == 3


def test_a_running_job_is_found_where_the_history_shows_it(
    fal: FakeFal, adapter: FalAdapter, lost: JobRequest
) -> None:
    fal.history_shows_running = True
    assert adapter.reconcile(lost, sent_at()).match is Match.FOUND


def test_a_hole_in_the_history_proves_nothing(fal: FakeFal, adapter: FalAdapter) -> None:
    fal.history_hole, fal.history_shows_running = True, True
    request = request_for(uploaded(adapter))
    adapter.submit(request)
    assert adapter.reconcile(request, sent_at()).match is Match.NOT_SEEN


def test_all_pages_are_read(
    fal: FakeFal, adapter: FalAdapter, lost: JobRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "PAGE", 1)
    fal.history_shows_running = True
    assert adapter.reconcile(lost, sent_at()).match is Match.FOUND
    assert len(fal.sent("history")) == 3


def test_a_history_without_an_end_is_read_for_a_limited_time(
    fal: FakeFal, adapter: FalAdapter, lost: JobRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "SECONDS", 0.3)
    page = says(200, {"items": [], "has_more": True, "next_cursor": "MA=="})
    fal.script("history", *[replace(page, delay=0.2)] * 40)
    assert adapter.reconcile(lost, sent_at()).match is Match.NOT_SEEN
    assert len(fal.sent("history")) <= 3
