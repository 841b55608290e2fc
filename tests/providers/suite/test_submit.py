"""A paid submit at each provider: one request that is never repeated, and what its answers mean."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune_portal.providers.contract import Account
from finetune_portal.providers.errors import (
    CallError,
    ConnectionLostError,
    InvalidResponseError,
    OutOfCreditsError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    TrainingClosedError,
    UnauthorizedError,
    UnreachableError,
)
from tests.examples import examples
from tests.provider import Answer, breaks, half, says
from tests.providers.suite.subject import Call, Subject

HTML = b"<html><head><title>503 Service Temporarily Unavailable</title></head><body><hr>nginx</body></html>"
SIGNED = "https://bucket.example/a.zip?X-Amz-Signature=c2VjcmV0"
NOT_TAKEN = [400, 401, 402, 403, 404, 409, 410, 422, 429]
UNCLEAR = [408, 500, 502, 503, 504, 200, 202, 301, 307]
BODIES = [
    b"",
    HTML,
    b"[]",
    b"{}",
    b'{"error": "no", "detail": "no"}',
    b'{"error": "It is deprecated."}',
    b"\xff",
]
HEADERS = [{}, {"Retry_After": "5"}, {"Location": "/elsewhere"}, {"Content_Encoding": "gzip"}]


def refusal(words: str) -> dict[str, str]:
    """The words under both names that providers have for them."""
    return {"error": words, "detail": words}


def test_one_request_is_one_job(subject: Subject) -> None:
    accepted = subject.adapter.submit(subject.request())
    assert accepted.handle.id
    assert accepted.status
    assert subject.sent(Call.SUBMIT) == subject.jobs(subject.nonce) == 1
    assert subject.adapter.poll(accepted.handle).handle == accepted.handle


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("is_taken", [True, False])
def test_a_lost_answer_may_have_been_sent_and_is_not_sent_again(
    subject: Subject, is_taken: bool, ending: str
) -> None:
    """S4: taken and not taken look the same from here."""
    subject.script(Call.SUBMIT, breaks(ending, taken=is_taken))
    error = subject.failure(lambda: subject.adapter.submit(subject.request()))
    assert isinstance(error, ConnectionLostError)
    assert error.may_have_been_sent
    assert subject.sent(Call.SUBMIT) == 1
    assert subject.jobs(subject.nonce) == is_taken


def test_an_answer_that_breaks_in_its_middle_may_have_been_sent(subject: Subject) -> None:
    subject.script(Call.SUBMIT, half())
    assert subject.failure(lambda: subject.adapter.submit(subject.request())).may_have_been_sent
    assert subject.sent(Call.SUBMIT) == subject.jobs(subject.nonce) == 1


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://provider.invalid"])
def test_what_cannot_be_reached_was_not_sent(subject: Subject, address: str) -> None:
    """S3."""
    addresses = dict.fromkeys(subject.account.addresses, address)
    adapter = subject.make(Account(addresses, subject.account.key))
    error = subject.failure(lambda: adapter.submit(subject.request()))
    assert type(error) is UnreachableError
    assert not error.may_have_been_sent


@pytest.mark.parametrize(
    ("status", "body", "kind", "may_have_been_sent"),
    [
        (400, refusal("The body is not JSON"), RequestRejectedError, False),
        (401, refusal("Unauthorized"), UnauthorizedError, False),
        (402, refusal("Payment required"), OutOfCreditsError, False),
        (403, refusal("Your team may not use this"), RequestRejectedError, False),
        (404, refusal("Not found"), RequestRejectedError, False),
        (410, refusal("Gone"), TrainingClosedError, False),
        (400, refusal("This endpoint has been deprecated."), TrainingClosedError, False),
        (422, {"detail": [{"loc": ["body", "steps"], "msg": "too small"}]}, RequestRejectedError, False),
        (429, refusal("Too many requests"), RateLimitedError, False),
        (307, b"", ServerError, True),
        (408, refusal("Timeout"), ServerError, True),
        (500, refusal("x"), ServerError, True),
        (503, HTML, ServerError, True),
        (504, HTML, ServerError, True),
        (200, HTML, InvalidResponseError, True),
        (200, {"status": "QUEUED"}, InvalidResponseError, True),
        (200, [], InvalidResponseError, True),
    ],
)
def test_each_answer_has_its_meaning_and_nothing_is_sent_twice(
    subject: Subject, status: int, body: Any, kind: type[CallError], may_have_been_sent: bool
) -> None:
    subject.script(Call.SUBMIT, says(status, body, Location="/elsewhere"))
    error = subject.failure(lambda: subject.adapter.submit(subject.request()))
    assert type(error) is kind
    assert error.may_have_been_sent is may_have_been_sent
    assert "html" not in f"{error.message} {error.detail}"
    assert subject.sent(Call.SUBMIT) == 1


def test_the_reason_is_quoted_without_a_key_and_without_a_signed_address(subject: Subject) -> None:
    words = refusal(f"{subject.account.key} may not read {SIGNED}")
    subject.script(Call.SUBMIT, says(422, words))
    error = subject.failure(lambda: subject.adapter.submit(subject.request()), "c2VjcmV0")
    assert "may not read https://bucket.example/a.zip" in error.message


@pytest.mark.parametrize(("header", "wait"), [({"Retry_After": "7"}, 7.0), ({}, None)])
def test_a_limit_names_its_pause_or_none(
    subject: Subject, header: dict[str, str], wait: float | None
) -> None:
    subject.script(Call.SUBMIT, says(429, refusal("Slow down"), **header))
    error = subject.failure(lambda: subject.adapter.submit(subject.request()))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == wait


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"trainer": "no/such-trainer"}, "does not know this trainer"),
        ({"steps": 0}, "steps must be"),
        ({"steps": 10**9}, "steps must be"),
        ({"learning_rate": 0.0}, "learning_rate must be"),
        ({"parameters": {"no_such_parameter": 1}}, "no_such_parameter is no parameter"),
        ({"nonce": ""}, "nonce"),
        ({"nonce": "a,b=c"}, "nonce"),
    ],
)
def test_what_the_provider_would_find_wrong_is_refused_before(
    subject: Subject, fields: dict[str, Any], words: str
) -> None:
    error = subject.failure(lambda: subject.adapter.submit(subject.request(**fields)))
    assert type(error) is RequestRejectedError
    assert words in error.message
    assert not error.may_have_been_sent
    assert subject.sent(Call.SUBMIT) == 0


def test_a_submitted_dataset_trains(subject: Subject) -> None:
    assert subject.ended().files


def faulty(status: int, body: bytes, headers: dict[str, str], is_taken: bool) -> Answer:
    return says(status, body, taken=is_taken, **headers)


bodies, headers = st.sampled_from(BODIES), st.sampled_from(HEADERS)
answers = st.one_of(
    st.builds(faulty, st.sampled_from(NOT_TAKEN), bodies, headers, st.just(False)),
    st.builds(faulty, st.sampled_from(UNCLEAR), bodies, headers, st.booleans()),
    st.builds(breaks, st.sampled_from(["close", "reset"]), taken=st.booleans()),
    st.just(half()),
)


@settings(max_examples=examples(500), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=answers)
def test_no_fault_sends_twice_or_denies_what_was_taken(subject: Subject, answer: Answer) -> None:
    request = subject.request(nonce=secrets.token_hex(4))
    before = subject.sent(Call.SUBMIT)
    subject.script(Call.SUBMIT, answer)
    is_denied = False
    try:
        subject.adapter.submit(request)
    except CallError as exc:
        is_denied = not exc.may_have_been_sent
    assert subject.sent(Call.SUBMIT) - before == 1
    assert subject.jobs(request.nonce) == answer.taken
    assert not (is_denied and answer.taken)
