"""A finished model is run at each provider: one paid request, and a picture."""

from __future__ import annotations

from typing import Any

import pytest

from finetune_portal.providers.contract import Capability, GenerateRequest
from finetune_portal.providers.errors import (
    CallError,
    ConnectionLostError,
    InvalidResponseError,
    OutOfCreditsError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    UnauthorizedError,
)
from tests.provider import PICTURE, breaks, half, says
from tests.providers.suite.subject import Call, Subject
from tests.providers.suite.test_submit import HTML, refusal


@pytest.fixture
def generation(subject: Subject) -> GenerateRequest:
    """A run of a trained model, by its name at the provider or else by the address of its weights."""
    subject.needs(Capability.GENERATE)
    snapshot = subject.ended()
    subject.generates_at_once()
    weights = snapshot.model or snapshot.files[0].address
    trainer = subject.usual["trainer"]
    return GenerateRequest(trainer, weights, [subject.adapter.put_image(PICTURE)], "Put a red hat on")


def test_one_request_makes_a_picture(subject: Subject, generation: GenerateRequest) -> None:
    assert subject.adapter.generate(generation) == PICTURE
    assert subject.sent(Call.GENERATE) == subject.generations() == 1


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_lost_answer_may_have_been_sent_and_is_not_sent_again(
    subject: Subject, generation: GenerateRequest, is_taken: bool
) -> None:
    subject.script(Call.GENERATE, breaks(taken=is_taken))
    error = subject.failure(lambda: subject.adapter.generate(generation))
    assert (type(error), error.may_have_been_sent) == (ConnectionLostError, True)
    assert subject.sent(Call.GENERATE) == 1
    assert subject.generations() == is_taken


def test_an_answer_that_breaks_in_its_middle_may_have_been_sent(
    subject: Subject, generation: GenerateRequest
) -> None:
    subject.script(Call.GENERATE, half())
    assert subject.failure(lambda: subject.adapter.generate(generation)).may_have_been_sent
    assert subject.sent(Call.GENERATE) == subject.generations() == 1


@pytest.mark.parametrize(
    ("status", "body", "kind", "may_have_been_sent"),
    [
        (401, refusal("Unauthorized"), UnauthorizedError, False),
        (402, refusal("Payment required"), OutOfCreditsError, False),
        (404, refusal("Not found"), RequestRejectedError, False),
        (422, refusal("prompt is missing"), RequestRejectedError, False),
        (429, refusal("Slow down"), RateLimitedError, False),
        (500, HTML, ServerError, True),
        (200, HTML, InvalidResponseError, True),
        (200, {"status": "QUEUED"}, InvalidResponseError, True),
    ],
)
def test_each_answer_has_its_meaning_and_nothing_is_sent_twice(
    subject: Subject,
    generation: GenerateRequest,
    status: int,
    body: Any,
    kind: type[CallError],
    may_have_been_sent: bool,
) -> None:
    subject.script(Call.GENERATE, says(status, body))
    error = subject.failure(lambda: subject.adapter.generate(generation))
    assert (type(error), error.may_have_been_sent) == (kind, may_have_been_sent)
    assert subject.sent(Call.GENERATE) == 1


@pytest.mark.parametrize(
    "fields",
    [{"trainer": "no/such-trainer"}, {"inputs": []}, {"inputs": ["https://x.example/1.png"] * 20}],
)
def test_what_no_model_takes_is_not_sent(
    subject: Subject, generation: GenerateRequest, fields: dict[str, Any]
) -> None:
    changed = GenerateRequest(**{**vars(generation), **fields})
    error = subject.failure(lambda: subject.adapter.generate(changed))
    assert (type(error), error.may_have_been_sent) == (RequestRejectedError, False)
    assert subject.sent(Call.GENERATE) == 0
