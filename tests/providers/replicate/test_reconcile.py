"""A job whose answer was lost is looked for by the address of its ZIP; absence proves nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from finetune_portal.providers.contract import JobRequest, Match, Phase
from finetune_portal.providers.errors import ServerError, UnreachableError
from finetune_portal.providers.replicate import ReplicateAdapter
from tests.provider import says
from tests.providers.failures import failure
from tests.providers.replicate.conftest import request_for, uploaded
from tests.replicate.server import FakeReplicate


@pytest.fixture
def lost(replicate: FakeReplicate, adapter: ReplicateAdapter, trainer: str) -> JobRequest:
    """A request whose answer was lost, beside jobs of others and another attempt with the same file."""
    replicate.steps = ("starting",)
    adapter.submit(request_for("https://x.example/other.zip", trainer=trainer))
    request = request_for(uploaded(adapter), trainer=trainer)
    replicate.loses_answer = True
    failure(lambda: adapter.submit(request))
    replicate.loses_answer = False
    other = f"{request.dataset.rpartition('=')[0]}=another"
    adapter.submit(request_for(other, trainer=trainer))
    return request


def sent_at() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


def test_a_job_is_found_while_it_runs(
    replicate: FakeReplicate, adapter: ReplicateAdapter, lost: JobRequest
) -> None:
    result = adapter.reconcile(lost, sent_at())
    assert result.match is Match.FOUND
    assert result.handle
    assert result.handle.id == replicate.jobs[1].id
    assert adapter.poll(result.handle).phase is Phase.REQUESTED
    assert len(replicate.sent("submit")) == 3


def test_a_list_without_it_proves_nothing(
    replicate: FakeReplicate, adapter: ReplicateAdapter, lost: JobRequest
) -> None:
    replicate.jobs[1].hidden = 1
    assert adapter.reconcile(lost, sent_at()).match is Match.NOT_SEEN
    assert adapter.reconcile(lost, sent_at()).match is Match.FOUND


def test_two_with_the_same_address_are_ambiguous(
    replicate: FakeReplicate, adapter: ReplicateAdapter, lost: JobRequest
) -> None:
    adapter.submit(lost)
    both = adapter.reconcile(lost, sent_at())
    assert (both.match, both.handle) == (Match.AMBIGUOUS, None)


def test_a_job_whose_input_was_deleted_may_be_it(
    replicate: FakeReplicate, adapter: ReplicateAdapter, lost: JobRequest
) -> None:
    replicate.remove(replicate.jobs[1])
    assert adapter.reconcile(lost, sent_at()).match is Match.AMBIGUOUS


def test_a_job_whose_address_replicate_wrote_anew_may_be_it(
    replicate: FakeReplicate, adapter: ReplicateAdapter, lost: JobRequest
) -> None:
    replicate.rewrites_uploads = True
    del replicate.jobs[2], replicate.jobs[0]
    assert adapter.reconcile(lost, sent_at()).match is Match.AMBIGUOUS


def test_pages_are_read_until_the_time_of_the_submit(
    replicate: FakeReplicate, adapter: ReplicateAdapter, lost: JobRequest
) -> None:
    replicate.page_size = 1
    replicate.jobs[0].created_at -= timedelta(days=1)
    assert adapter.reconcile(lost, sent_at()).match is Match.FOUND
    assert len(replicate.sent("history")) <= 3
    replicate.jobs[1].created_at -= timedelta(days=1)
    assert adapter.reconcile(lost, sent_at()).match is Match.NOT_SEEN


def test_a_list_that_fails_is_an_error_and_not_an_absence(
    replicate: FakeReplicate, adapter: ReplicateAdapter, lost: JobRequest
) -> None:
    replicate.html_errors_on = {"history"}
    assert type(failure(lambda: adapter.reconcile(lost, sent_at()))) is ServerError
    replicate.html_errors_on = ()
    with FakeReplicate() as foreign:
        page = {"results": [], "next": f"{foreign.api_url}/trainings?cursor=1"}
        replicate.script("history", says(200, page))
        assert type(failure(lambda: adapter.reconcile(lost, sent_at()))) is UnreachableError
        assert foreign.requests == []
