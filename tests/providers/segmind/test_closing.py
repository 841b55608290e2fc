"""A provider that takes no new jobs, told by status or by words (docs/provider-api.md, 16)."""

from __future__ import annotations

from typing import Any

import pytest

from finetune_portal.providers.errors import (
    CallError,
    OutOfCreditsError,
    RequestRejectedError,
    TrainingClosedError,
)
from finetune_portal.providers.segmind import SegmindClient
from tests.provider import ScriptedProvider, says
from tests.providers.segmind.conftest import SUBMIT

CLOSED = [
    (410, b""),
    (410, {"error": "Gone"}),
    (400, {"error": "Fine-tuning is deprecated."}),
    (403, {"error": "Fine-tuning has been discontinued."}),
    (404, {"message": "This endpoint has been deprecated"}),
    (405, b"<!doctype html><title>405</title><h1>The fine-tuning service is retired</h1>"),
    (409, {"error": "Fine-tuning no longer accepts new jobs"}),
    (422, {"detail": [{"msg": "We no longer accept new training requests."}]}),
    (400, b"The fine-tuning service was shut down on 1 August."),
    (403, {"error": {"message": "Training is closed to new requests"}}),
    (400, {"error": "The service takes no new datasets or jobs"}),
    (404, {"error": "No new fine-tuning jobs can be created."}),
]
NOT_CLOSED = [
    (400, {"error": "machine_type NVIDIA_A100 is deprecated, use NVIDIA_H100"}),
    (422, {"error": "The parameter lora_rank is no longer supported"}),
    (400, {"error": "data_source_path: this URL is no longer available"}),
    (403, {"error": "Your team may not use this model"}),
    (404, {"error": "Not found"}),
    (404, b"<html><title>404</title></html>"),
    (422, {"error": "name is taken"}),
    (400, {"error": "a deprecated field: trigger_word"}),
]


def failure(provider: ScriptedProvider, client: SegmindClient, call: str, answer: Any) -> CallError:
    provider.script(call, answer)
    with pytest.raises(CallError) as caught:
        client.submit(SUBMIT) if call == "submit" else client.presigned_url("a.zip")
    return caught.value


@pytest.mark.parametrize(("status", "body"), CLOSED)
@pytest.mark.parametrize("call", ["submit", "presigned_url"])
def test_it_says_that_it_takes_no_new_jobs(
    provider: ScriptedProvider, client: SegmindClient, call: str, status: int, body: Any
) -> None:
    error = failure(provider, client, call, says(status, body))
    assert type(error) is TrainingClosedError
    assert error.message.startswith("The provider takes no new jobs.")
    assert not error.may_have_been_sent
    assert "<" not in error.message


@pytest.mark.parametrize(("status", "body"), NOT_CLOSED)
def test_a_fault_of_one_request_closes_nothing(
    provider: ScriptedProvider, client: SegmindClient, status: int, body: Any
) -> None:
    assert type(failure(provider, client, "submit", says(status, body))) is RequestRejectedError


def test_a_spend_limit_that_accepts_no_more_is_no_closing(
    provider: ScriptedProvider, client: SegmindClient
) -> None:
    words = "The team reached its monthly cap of $50; requests are no longer accepted until 1 December."
    error = failure(provider, client, "submit", says(406, {"error": words}))
    assert type(error) is OutOfCreditsError
    assert "spend limit" in error.message
    assert words in error.message


def test_other_calls_that_are_retired_say_nothing_of_jobs(
    provider: ScriptedProvider, client: SegmindClient
) -> None:
    provider.script("download_url", says(410, {"error": "Fine-tuning is deprecated"}))
    with pytest.raises(RequestRejectedError) as caught:
        client.download_url("https://bucket.example/w.safetensors")
    assert "takes no new jobs" not in caught.value.message
    assert "Fine-tuning is deprecated" in caught.value.message


@pytest.mark.parametrize(
    ("words", "kind", "says_first"),
    [
        ("Insufficient credits", OutOfCreditsError, "The account does not have enough credits."),
        (
            "Monthly spend limit of $20 reached for team Studio",
            OutOfCreditsError,
            "The account’s spend limit",
        ),
        (
            "Not acceptable: Content-Type must be JSON",
            RequestRejectedError,
            "The provider does not take this",
        ),
        ("Nope", OutOfCreditsError, "The provider refused with status 406"),
        ("", OutOfCreditsError, "The provider refused with status 406"),
    ],
)
def test_406_means_what_its_words_say(
    provider: ScriptedProvider, client: SegmindClient, words: str, kind: type[CallError], says_first: str
) -> None:
    error = failure(provider, client, "submit", says(406, {"error": words}))
    assert type(error) is kind
    assert error.message.startswith(says_first)
    assert not words or words in error.message
