"""A paid submit: one POST that is never repeated, what it holds, and what its answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finetune_portal.providers.contract import Handle
from finetune_portal.providers.errors import (
    CallError,
    OutOfCreditsError,
    RequestRejectedError,
    ServerError,
    UnreachableError,
)
from finetune_portal.providers.fal import FalAdapter
from tests.fal.calls import KONTEXT
from tests.fal.server import HTML, FakeFal
from tests.fal.switches import LOCKED
from tests.provider import says
from tests.providers.fal.conftest import NONCE, failure, only_job, request_for

FLUX_3 = "blackforestlabs/flux-3/klein/base/trainer/edit"
WEEK = 7 * 24 * 3600


def test_one_post_holds_all_that_finds_the_job_again(fal: FakeFal, adapter: FalAdapter) -> None:
    hook = "https://portal.example/hooks/0a1b2c3d/?team=1&x=2"
    parameters = {"output_lora_format": "comfy"}
    accepted = adapter.submit(request_for("https://x.example/a.zip?s=1", webhook=hook, parameters=parameters))
    job = only_job(fal)
    assert len(fal.sent("submit")) == len(fal.requests) == 1
    assert (accepted.handle.id, accepted.status) == (job.id, "IN_QUEUE")
    assert job.input == {
        "image_data_url": "https://x.example/a.zip?s=1",
        "default_caption": "Make it red",
        "steps": 500,
        "learning_rate": 5e-5,
        "output_lora_format": "comfy",
    }
    assert job.webhook == hook
    assert job.tags == {"portal-job": NONCE}
    wishes = json.loads(job.headers["x-fal-object-lifecycle-preference"])
    assert wishes == {"expiration_duration_seconds": 4 * WEEK}
    assert accepted.handle.addresses == {
        "status": f"{fal.queue_url}/fal-ai/flux-2-klein-4b-base-trainer/requests/{job.id}/status",
        "result": f"{fal.queue_url}/fal-ai/flux-2-klein-4b-base-trainer/requests/{job.id}",
        "cancel": f"{fal.queue_url}/fal-ai/flux-2-klein-4b-base-trainer/requests/{job.id}/cancel",
    }


def test_without_a_public_address_there_is_no_webhook_and_without_a_prompt_no_caption(
    fal: FakeFal, adapter: FalAdapter
) -> None:
    adapter.submit(request_for(prompt=""))
    assert fal.sent("submit")[0].query == ""
    assert "default_caption" not in only_job(fal).input


@pytest.mark.parametrize(
    ("status", "body", "kind", "may_have_been_sent"),
    [
        (403, {"detail": LOCKED}, OutOfCreditsError, False),
        (404, {"detail": "Application 'x' not found"}, RequestRejectedError, False),
        (499, {"detail": "x", "error_type": "client_disconnected"}, ServerError, True),
        (500, {"detail": "x", "error_type": "internal_error"}, ServerError, True),
    ],
)
def test_an_answer_of_fal_has_its_meaning(
    fal: FakeFal, adapter: FalAdapter, status: int, body: Any, kind: type[CallError], may_have_been_sent: bool
) -> None:
    """What all providers answer alike is tried in tests/providers/suite/."""
    fal.script("submit", says(status, body))
    error = failure(lambda: adapter.submit(request_for()), fal.key)
    assert (type(error), error.may_have_been_sent) == (kind, may_have_been_sent)
    assert len(fal.requests) == 1


def test_the_reason_is_quoted_without_a_key_and_without_a_signed_address(
    fal: FakeFal, adapter: FalAdapter
) -> None:
    signed = "https://v3b.fal.media/files/b/x/a.zip?identity=c2VjcmV0"
    for words in ({"detail": LOCKED}, {"detail": f"{fal.key} may not read {signed}"}):
        fal.script("submit", says(403, words))
        error = failure(lambda: adapter.submit(request_for()), fal.key, "c2VjcmV0")
        assert "It says: " in error.message
    fal.locked_on = {"submit"}
    assert "Exhausted balance" in failure(lambda: adapter.submit(request_for())).message


def test_the_id_may_stand_in_the_header_alone(fal: FakeFal, adapter: FalAdapter) -> None:
    fal.script("submit", says(200, {"status": "IN_QUEUE"}, X_Fal_Request_Id="from-the-header"))
    accepted = adapter.submit(request_for(trainer=KONTEXT))
    assert accepted.handle.id == "from-the-header"
    base = f"{fal.queue_url}/fal-ai/flux-kontext-trainer/requests/from-the-header"
    assert accepted.handle.addresses["status"] == f"{base}/status"


def test_the_key_goes_to_no_address_off_the_queue(fal: FakeFal, adapter: FalAdapter) -> None:
    """K7: neither when an answer names one, nor when a stored one is of another host."""
    with FakeFal() as foreign:
        names = ("status_url", "response_url", "cancel_url")
        for base in (foreign.queue_url, fal.cdn_url, f"{fal.queue_url}/../cdn", f"{fal.queue_url}.example"):
            urls = dict.fromkeys(names, f"{base}/fal-ai/x/requests/1")
            fal.script("submit", says(200, {"request_id": "1", **urls}))
            kept = adapter.submit(request_for()).handle.addresses.values()
            assert all(url.startswith(f"{fal.queue_url}/fal-ai/flux-2-klein") for url in kept)
        elsewhere = Handle("1", dict.fromkeys(("status", "result", "cancel"), f"{foreign.queue_url}/a/b"))
        calls = (adapter.poll, adapter.logs, adapter.cancel)
        errors = [failure(lambda call=call: call(elsewhere)) for call in calls]
        assert {type(error) for error in errors} == {UnreachableError}
        assert foreign.requests == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"steps": 99}, "steps must be a number from 100 to 10,000"),
        ({"steps": 150}, "steps must be a multiple of 100"),
        ({"parameters": {"rank": 16}}, "rank is no parameter of this trainer"),
        ({"parameters": {"output_lora_format": "onnx"}}, "output_lora_format must be one of: fal, comfy"),
        ({"trainer": FLUX_3, "parameters": {"resolution": 600}}, "resolution must be a multiple of 256"),
    ],
)
def test_what_fal_finds_wrong_only_when_the_job_runs_is_refused_before(
    fal: FakeFal, adapter: FalAdapter, fields: dict[str, Any], words: str
) -> None:
    error = failure(lambda: adapter.submit(request_for(**fields)))
    assert type(error) is RequestRejectedError
    assert words in error.message
    assert fal.sent("submit") == []


def test_a_trainer_whose_form_is_unverified_starts_by_the_published_schema_alone(
    fal: FakeFal, adapter: FalAdapter
) -> None:
    request = request_for("https://x.example/a.zip", trainer=FLUX_3, parameters={"resolution": 768})
    schema: dict[str, Any] = {"components": {"schemas": {"Input": {"properties": {"archive_url": {}}}}}}
    row = {"endpoint_id": FLUX_3, "openapi": schema}
    fal.script("models", says(200, {"models": [row], "has_more": False}), says(503, HTML), says(404, {}))
    kinds = [type(failure(lambda: adapter.submit(request))) for _ in range(3)]
    assert kinds == [RequestRejectedError, ServerError, RequestRejectedError]
    fal.script("models", says(503, HTML))
    assert not failure(lambda: adapter.submit(request)).may_have_been_sent
    assert fal.sent("submit") == []

    schema["components"]["schemas"]["Input"]["properties"] = {"images_data_url": {}}
    fal.script("models", says(200, {"models": [row], "has_more": False}))
    adapter.submit(request)
    assert only_job(fal).input["images_data_url"] == "https://x.example/a.zip"
    assert only_job(fal).input["trigger_phrase"] == "Make it red"
    assert only_job(fal).input["resolution"] == 768
