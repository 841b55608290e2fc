"""A job is followed at each provider: its phases, its end, and what never ends a job."""

from __future__ import annotations

import pytest

from finetune_portal.providers.contract import Cancelled, Capability, Phase
from finetune_portal.providers.errors import (
    CallError,
    ConnectionLostError,
    GoneError,
    InvalidResponseError,
    OutOfCreditsError,
    RateLimitedError,
    ServerError,
    UnauthorizedError,
    UnreachableError,
)
from tests.provider import Answer, breaks, half, says
from tests.providers.suite.subject import Call, Subject
from tests.providers.suite.test_submit import HTML, refusal
from tests.waiting import until

AHEAD = (Phase.REQUESTED, Phase.DATA, Phase.TRAINING, Phase.TRAINED, Phase.DEPLOYING, Phase.AVAILABLE)


def test_a_job_goes_on_and_may_step_back(subject: Subject) -> None:
    handle = subject.started()
    for phase in (Phase.REQUESTED, Phase.TRAINING, Phase.REQUESTED, Phase.TRAINING):
        subject.move(handle, phase)
        snapshot = subject.adapter.poll(handle)
        assert (snapshot.phase, snapshot.handle, snapshot.error) == (phase, handle, "")
        assert snapshot.status
        assert snapshot.raw


def test_a_job_is_followed_by_its_trainer_and_id_alone(subject: Subject) -> None:
    handle = subject.started()
    built = subject.adapter.handle(subject.usual["trainer"], handle.id)
    assert built.id == handle.id
    subject.move(handle, Phase.TRAINING)
    assert subject.adapter.poll(built).phase is Phase.TRAINING


def test_a_job_ends_with_its_weights(subject: Subject) -> None:
    handle = subject.started()
    seen = [subject.adapter.poll(handle)]
    subject.finish(handle)
    while seen[-1].phase is not Phase.AVAILABLE:
        assert seen[-1].phase in subject.phases
        seen.append(until(lambda: subject.adapter.poll(handle)))
    phases = [AHEAD.index(each.phase) for each in seen]
    assert phases == sorted(phases)
    weights = [file for file in seen[-1].files if file.role == "weights"]
    assert len(weights) == 1
    assert weights[0].address
    assert weights[0].name.endswith(".safetensors")
    assert seen[-1].error == ""


def test_a_job_that_failed_says_why_and_has_no_files(subject: Subject) -> None:
    handle, words = subject.failed()
    snapshot = subject.adapter.poll(handle)
    assert (snapshot.phase, snapshot.files) == (Phase.FAILED, ())
    assert words
    assert words in snapshot.error


def test_what_was_cancelled_did_not_fail(subject: Subject) -> None:
    subject.needs(Capability.CANCEL)
    handle = subject.started(name="slow")
    assert subject.adapter.cancel(handle) in (Cancelled.REQUESTED, Cancelled.REMOVED)
    assert until(lambda: subject.at(handle, Phase.CANCELLED)).files == ()
    assert subject.adapter.cancel(handle) is Cancelled.TOO_LATE


def test_a_job_that_is_over_cannot_be_cancelled(subject: Subject) -> None:
    subject.needs(Capability.CANCEL)
    handle = subject.ended().handle
    assert subject.adapter.cancel(handle) is Cancelled.TOO_LATE
    assert subject.adapter.poll(handle).phase is Phase.AVAILABLE


def test_an_unknown_word_counts_as_running_and_all_that_was_said_is_kept(subject: Subject) -> None:
    handle = subject.started()
    fields = {"reason": "maintenance", "added_in_2027": {"nested": [1, None, "text"]}}
    subject.script(Call.POLL, subject.odd_status(handle, "PAUSED", **fields))
    snapshot = subject.adapter.poll(handle)
    assert (snapshot.phase, snapshot.status, snapshot.error) == (Phase.UNKNOWN, "PAUSED", "")
    assert {name: snapshot.raw[name] for name in fields} == fields


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says(401, refusal("Unauthorized")), UnauthorizedError),
        (says(402, refusal("Insufficient credits")), OutOfCreditsError),
        (says(429, refusal("Slow down")), RateLimitedError),
        (says(500, refusal("Oops")), ServerError),
        (says(503, HTML), ServerError),
        (says(302, b"", Location="/elsewhere"), ServerError),
        (says(200, HTML), InvalidResponseError),
        (says(200, b""), InvalidResponseError),
        (says(200, []), InvalidResponseError),
        (breaks(taken=True), ConnectionLostError),
        (breaks("reset", taken=True), ConnectionLostError),
        (half(), ConnectionLostError),
    ],
)
def test_no_outage_ends_a_job(subject: Subject, answer: Answer, kind: type[CallError]) -> None:
    handle = subject.started()
    subject.script(Call.POLL, answer)
    assert type(subject.failure(lambda: subject.adapter.poll(handle))) is kind
    assert subject.adapter.poll(handle).phase in AHEAD


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_page_of_a_proxy_ends_no_job(subject: Subject, status: int) -> None:
    handle = subject.started()
    subject.script(Call.POLL, says(status, HTML))
    assert not isinstance(subject.failure(lambda: subject.adapter.poll(handle)), GoneError)


def test_a_provider_that_is_away_ends_no_job(subject: Subject) -> None:
    handle = subject.started()
    subject.stop()
    adapter = subject.make(subject.account)
    assert type(subject.failure(lambda: adapter.poll(handle))) is UnreachableError
    subject.start()
    assert adapter.poll(handle).phase in AHEAD


def test_a_job_that_is_not_known_is_gone(subject: Subject) -> None:
    handle = subject.unknown_handle()
    assert type(subject.failure(lambda: subject.adapter.poll(handle))) is GoneError
