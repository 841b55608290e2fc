"""A job whose answer was lost is looked for; what is not seen may still be there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from finetune_portal.providers.contract import Capability, JobRequest, Match
from finetune_portal.providers.errors import RateLimitedError, ServerError, UnauthorizedError
from tests.provider import breaks, says
from tests.providers.suite.subject import Call, Subject
from tests.providers.suite.test_submit import HTML, refusal


@pytest.fixture
def lost(subject: Subject) -> JobRequest:
    """A request that the provider took and did not answer, beside one of another nonce and dataset."""
    subject.adapter.submit(subject.request(nonce=subject.nonce[::-1] + "0"))
    request = subject.request(dataset=subject.uploaded())
    subject.script(Call.SUBMIT, breaks(taken=True))
    subject.failure(lambda: subject.adapter.submit(request))
    return request


def since() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


def test_the_lost_job_is_found_and_can_be_followed(subject: Subject, lost: JobRequest) -> None:
    result = subject.adapter.reconcile(lost, since())
    assert result.match is Match.FOUND
    assert result.handle
    assert subject.adapter.poll(result.handle).handle == result.handle
    subject.finish(result.handle)
    assert subject.jobs(subject.nonce) == subject.sent(Call.SUBMIT) - 1 == 1


def test_a_request_that_was_not_taken_is_not_seen(subject: Subject) -> None:
    request = subject.request(dataset=subject.uploaded())
    subject.script(Call.SUBMIT, breaks(taken=False))
    subject.failure(lambda: subject.adapter.submit(request))
    result = subject.adapter.reconcile(request, since())
    assert (result.match, result.handle) == (Match.NOT_SEEN, None)


def test_two_jobs_of_one_request_are_ambiguous(subject: Subject, lost: JobRequest) -> None:
    subject.adapter.submit(lost)
    result = subject.adapter.reconcile(lost, since())
    assert (result.match, result.handle) == (Match.AMBIGUOUS, None)


def test_a_job_that_is_listed_late_is_found_later(subject: Subject) -> None:
    subject.list_late()
    request = subject.request(dataset=subject.uploaded())
    subject.script(Call.SUBMIT, breaks(taken=True))
    subject.failure(lambda: subject.adapter.submit(request))
    matches = [subject.adapter.reconcile(request, since()).match for _ in range(2)]
    assert matches == [Match.NOT_SEEN, Match.FOUND]


def test_a_look_that_fails_is_an_error_and_not_an_absence(subject: Subject, lost: JobRequest) -> None:
    answers = says(503, HTML), says(401, refusal("no")), says(429, refusal("slow down"))
    subject.script(Call.FIND, *answers)
    errors = [type(subject.failure(lambda: subject.adapter.reconcile(lost, since()))) for _ in answers]
    assert errors == [ServerError, UnauthorizedError, RateLimitedError]
    assert subject.adapter.reconcile(lost, since()).match is Match.FOUND


def test_the_list_has_all_jobs_of_the_account(subject: Subject) -> None:
    subject.needs(Capability.LIST)
    handles = [subject.adapter.submit(subject.request(name=name)).handle for name in ("Hats", "Hair")]
    listed = {each.handle.id: each for each in subject.adapter.jobs()}
    assert {handle.id for handle in handles} <= listed.keys()
    assert listed[handles[1].id].name == f"Hair-{subject.nonce}"
    assert listed[handles[1].id].is_public is False
