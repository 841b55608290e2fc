"""A paid submit: one POST that is never repeated, what it holds, and what its answers mean."""

from __future__ import annotations

from typing import Any

import pytest

from finetune_portal.providers.contract import Handle
from finetune_portal.providers.errors import (
    ConnectionLostError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    UnreachableError,
)
from finetune_portal.providers.replicate import ReplicateAdapter
from tests.provider import half, says
from tests.provider.fake import HTML
from tests.providers.failures import failure
from tests.providers.replicate.conftest import NONCE, only_job, request_for, uploaded
from tests.replicate.calls import KONTEXT, PRUNA
from tests.replicate.models import version_of
from tests.replicate.server import FakeReplicate

HOOK = "https://portal.example/hooks/0a1b2c3d/?team=1&x=2"
ZIP = "https://x.example/a.zip?s=1"


def test_a_prediction_is_one_post_that_holds_all_that_finds_it_again(
    replicate: FakeReplicate, adapter: ReplicateAdapter
) -> None:
    accepted = adapter.submit(request_for(ZIP, webhook=HOOK))
    job = only_job(replicate)
    assert [replicate.name_of(each) for each in replicate.requests] == ["model", "submit"]
    assert (accepted.handle.id, accepted.status) == (job.id, "starting")
    assert replicate.sent("submit")[0].json == {
        "version": version_of(PRUNA),
        "input": {
            "image_data": ZIP,
            "default_caption": "Make it red",
            "steps": 500,
            "learning_rate": 1e-4,
        },
        "webhook": HOOK,
        "webhook_events_filter": ["completed"],
    }
    url = f"{replicate.api_url}/predictions/{job.id}"
    assert accepted.handle.addresses == {"get": url, "cancel": f"{url}/cancel"}


def test_a_training_gets_a_private_destination_with_the_nonce_in_its_name(
    replicate: FakeReplicate, adapter: ReplicateAdapter
) -> None:
    adapter.submit(request_for(ZIP, trainer=KONTEXT))
    assert replicate.destinations[f"a-team/portal-{NONCE}"]["visibility"] == "private"
    (post,) = replicate.sent("submit")
    assert post.path == f"/v1/models/{KONTEXT}/versions/{version_of(KONTEXT)}/trainings"
    assert post.json == {
        "destination": f"a-team/portal-{NONCE}",
        "input": {
            "input_images": ZIP,
            "kontext_prompt_instruction": "Make it red",
            "training_steps": 500,
        },
    }
    adapter.submit(request_for(ZIP, trainer=KONTEXT, prompt=""))  # after an attempt that broke off
    assert "kontext_prompt_instruction" not in replicate.jobs[1].input
    assert len(replicate.sent("create_model")) == 1


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_lost_answer_may_have_been_sent_and_is_not_sent_again(
    replicate: FakeReplicate, adapter: ReplicateAdapter, trainer: str, is_taken: bool
) -> None:
    request = request_for(uploaded(adapter), trainer=trainer)
    replicate.loses_answer, replicate.loses_request = is_taken, not is_taken
    error = failure(lambda: adapter.submit(request), replicate.key)
    assert isinstance(error, ConnectionLostError)
    assert error.may_have_been_sent
    assert len(replicate.sent("submit")) == 1
    assert len(replicate.jobs_by_nonce(NONCE)) == is_taken


@pytest.mark.parametrize("call", ["model", "account", "create_model"])
@pytest.mark.parametrize("answer", [says(503, HTML), half(), says(401, {"detail": "no"})])
def test_what_fails_before_the_paid_request_was_not_sent(
    replicate: FakeReplicate, adapter: ReplicateAdapter, call: str, answer: Any
) -> None:
    replicate.script(call, answer)
    error = failure(lambda: adapter.submit(request_for(trainer=KONTEXT)), replicate.key)
    assert not error.may_have_been_sent
    assert replicate.sent("submit") == []


def test_a_trainer_that_answers_500_leaves_the_job_unconfirmed(
    replicate: FakeReplicate, adapter: ReplicateAdapter
) -> None:
    """As the report says of the one for Kontext."""
    replicate.broken = {KONTEXT}
    error = failure(lambda: adapter.submit(request_for(trainer=KONTEXT)))
    assert (type(error), error.may_have_been_sent) == (ServerError, True)
    assert len(replicate.sent("submit")) == 1
    assert replicate.charged == 0


@pytest.mark.parametrize(
    ("header", "body", "wait"),
    [
        ("7", {}, 7.0),
        ("", {"detail": "Request was throttled. Expected available in 3 seconds."}, 3.0),
        ("", {"detail": "6 requests per minute", "retry_after": 9}, 9.0),
        ("", {"detail": "less than $5.0 in credit"}, None),
        ("", HTML, None),
    ],
)
def test_a_limit_names_its_pause_in_one_of_three_places(
    replicate: FakeReplicate, adapter: ReplicateAdapter, header: str, body: Any, wait: float | None
) -> None:
    replicate.script("submit", says(429, body, **({"Retry_After": header} if header else {})))
    error = failure(lambda: adapter.submit(request_for()))
    assert isinstance(error, RateLimitedError)
    assert (error.retry_after, replicate.jobs) == (wait, [])


def test_the_key_goes_to_no_address_off_the_host(replicate: FakeReplicate, adapter: ReplicateAdapter) -> None:
    with FakeReplicate() as foreign:
        for base in (foreign.api_url, f"{replicate.api_url}/../x", f"{replicate.api_url}.example"):
            urls = {"get": f"{base}/predictions/1", "cancel": f"{base}/predictions/1/cancel"}
            replicate.script("submit", says(201, {"id": "1", "urls": urls}))
            kept = adapter.submit(request_for()).handle.addresses
            assert kept["get"] == f"{replicate.api_url}/predictions/1"
            assert kept["cancel"] == f"{replicate.api_url}/predictions/1/cancel"
        elsewhere = Handle("1", dict.fromkeys(("get", "cancel"), f"{foreign.api_url}/predictions/1"))
        calls = (adapter.poll, adapter.logs, adapter.cancel)
        errors = [failure(lambda call=call: call(elsewhere)) for call in calls]
        assert {type(error) for error in errors} == {UnreachableError}
        assert foreign.requests == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"trainer": "ostris/flux-dev-lora-trainer"}, "does not know this trainer"),
        ({"steps": 99}, "steps must be a number from 100 to 5,000"),
        ({"learning_rate": 0.1}, "learning_rate must be"),
        ({"trainer": KONTEXT, "learning_rate": 1e-4}, "learning_rate must be a number from 0 to 0"),
        ({"parameters": {"rank": 16}}, "rank is no parameter of this trainer"),
        ({"nonce": "a,b=c"}, "nonce"),
        ({"nonce": "UPPER"}, "nonce"),
    ],
)
def test_what_replicate_does_not_take_is_refused_before(
    replicate: FakeReplicate, adapter: ReplicateAdapter, fields: dict[str, Any], words: str
) -> None:
    error = failure(lambda: adapter.submit(request_for(**fields)))
    assert type(error) is RequestRejectedError
    assert words in error.message
    assert replicate.requests == []


def test_a_trainer_without_a_version_is_not_started(
    replicate: FakeReplicate, adapter: ReplicateAdapter, trainer: str
) -> None:
    for replicate.closed, replicate.without_version in ({trainer}, set()), (set(), {trainer}):
        error = failure(lambda: adapter.submit(request_for(trainer=trainer)))
        assert "does not have this trainer any more" in error.message
    assert replicate.sent("submit") == replicate.sent("create_model") == []


def test_a_submitted_dataset_trains(
    replicate: FakeReplicate, adapter: ReplicateAdapter, trainer: str
) -> None:
    adapter.submit(request_for(uploaded(adapter), trainer=trainer))
    replicate.finish(only_job(replicate))
    assert (only_job(replicate).model, only_job(replicate).status) == (trainer, "succeeded")
