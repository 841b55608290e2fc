"""A finished model is run once: one paid POST, and the picture."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from finetune_portal.providers.contract import GenerateRequest
from finetune_portal.providers.errors import (
    ConnectionLostError,
    RequestRejectedError,
)
from finetune_portal.providers.http import paid_run
from finetune_portal.providers.replicate import ReplicateAdapter
from tests.provider import PICTURE, Answer, says
from tests.provider.fake import HTML
from tests.providers.failures import failure
from tests.providers.replicate.conftest import account, request_for, uploaded
from tests.replicate.calls import KONTEXT, PRUNA
from tests.replicate.server import FakeReplicate
from tests.replicate.switches import Failure

FETCHED = (Answer(),)  # the fake's model reads the weights over HTTP, too
INPUT = "https://x.example/a.png"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paid_run, "FIRST_PAUSE", 0.01)


@pytest.fixture
def weights(replicate: FakeReplicate, adapter: ReplicateAdapter) -> str:
    """The address of a trained LoRA."""
    handle = adapter.submit(request_for(uploaded(adapter))).handle
    replicate.finish(replicate.jobs[0])
    address = adapter.poll(handle).files[0].address
    replicate.requests.clear()
    return address


def run(adapter: ReplicateAdapter, weights: str, **fields: Any) -> bytes:
    inputs = fields.pop("inputs", None) or [adapter.put_image(PICTURE)]
    usual = {"trainer": PRUNA, "prompt": "Make it red"} | fields
    return adapter.generate(GenerateRequest(weights=weights, inputs=inputs, **usual))


def test_one_post_makes_a_picture(replicate: FakeReplicate, adapter: ReplicateAdapter, weights: str) -> None:
    assert run(adapter, weights, strength=0.5, seed=7) == PICTURE
    (post,) = replicate.sent("submit")
    assert post.path == "/v1/models/prunaai/p-image-edit-lora/predictions"
    body = post.json["input"]
    (image,) = body.pop("images")
    (upload,) = [each for each in replicate.uploads.values() if each.name == "input.png"]
    assert upload.id in image
    assert (upload.content, upload.content_type) == (PICTURE, "image/png")
    assert body == {"prompt": "Make it red", "lora_weights": weights, "lora_scale": 0.5, "seed": 7}


def test_kontext_takes_one_image_and_no_numbers_are_made_up(
    replicate: FakeReplicate, adapter: ReplicateAdapter, weights: str
) -> None:
    image = adapter.put_image(PICTURE)
    assert run(adapter, weights, trainer=KONTEXT, inputs=[image]) == PICTURE
    assert run(adapter, weights, trainer=KONTEXT, inputs=[image], steps=20, guidance=3.5) == PICTURE
    bare, full = (each.json["input"] for each in replicate.sent("submit"))
    assert bare == {
        "prompt": "Make it red",
        "input_image": image,
        "lora_weights": weights,
        "lora_strength": 1.0,
        "output_format": "png",
    }
    assert (full["num_inference_steps"], full["guidance"]) == (20, 3.5)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"trainer": "unknown/trainer"}, "does not know this trainer"),
        ({"trainer": KONTEXT, "inputs": [INPUT, INPUT]}, "from 1 to 1 input images"),
        ({"inputs": [INPUT] * 6}, "from 1 to 5 input images"),
        ({"inputs": [INPUT], "strength": 3.5}, "from -1 to 3"),
        ({"trainer": KONTEXT, "inputs": [INPUT], "steps": 3}, "from 4 to 50"),
        ({"trainer": KONTEXT, "inputs": [INPUT], "guidance": 11}, "from 0 to 10"),
        ({"inputs": [INPUT], "steps": 20}, "takes no steps"),
        ({"inputs": [INPUT], "guidance": 2.0}, "takes no guidance"),
    ],
)
def test_what_no_model_takes_is_not_sent(
    replicate: FakeReplicate, adapter: ReplicateAdapter, fields: dict[str, Any], words: str
) -> None:
    error = failure(lambda: run(adapter, "https://x.example/lora.safetensors", **fields))
    assert (type(error), error.may_have_been_sent) == (RequestRejectedError, False)
    assert words in error.message
    assert replicate.sent("submit") == []


def test_questions_that_fail_are_asked_again_as_the_run_is_paid(
    replicate: FakeReplicate, adapter: ReplicateAdapter, weights: str
) -> None:
    replicate.script("status", says(503, HTML), says(429, {"detail": "slow down"}, Retry_After="1"))
    replicate.script("delivery", *FETCHED, says(500, b""))
    assert run(adapter, weights) == PICTURE
    assert len(replicate.sent("submit")) == 1


@pytest.mark.parametrize("output", [None, [], {}, "nowhere", [5], "javascript:alert(1)"])
def test_an_output_without_a_picture_may_have_been_charged(
    replicate: FakeReplicate, adapter: ReplicateAdapter, weights: str, output: Any
) -> None:
    replicate.script("status", says(200, {"status": "succeeded", "output": output}))
    error = failure(lambda: run(adapter, weights))
    assert "without a picture" in error.message
    assert error.may_have_been_sent


def test_an_output_may_be_a_list(replicate: FakeReplicate, adapter: ReplicateAdapter, weights: str) -> None:
    path = "/delivery/ab/output.png"
    replicate.delivered[path] = PICTURE
    payload = {"status": "succeeded", "output": [f"{replicate.url}{path}"]}
    replicate.script("status", says(200, payload))
    assert run(adapter, weights) == PICTURE


def test_a_run_that_fails_says_why(replicate: FakeReplicate, adapter: ReplicateAdapter, weights: str) -> None:
    replicate.failure = Failure("The output was flagged as sensitive. (E005).")
    error = failure(lambda: run(adapter, weights))
    assert error.message.endswith("It says: The output was flagged as sensitive. (E005).")
    assert error.may_have_been_sent


def test_a_picture_that_is_none_or_not_there(
    replicate: FakeReplicate, adapter: ReplicateAdapter, weights: str
) -> None:
    replicate.script("delivery", *FETCHED, says(200, b"<html>"))
    assert "without a picture" in failure(lambda: run(adapter, weights)).message
    replicate.script("delivery", *FETCHED, says(404, b""), says(404, b""))
    assert "cannot download it" in failure(lambda: run(adapter, weights)).message


def test_a_picture_of_another_host_is_fetched_through_the_guard_and_without_the_key(
    replicate: FakeReplicate, weights: str
) -> None:
    asked: list[tuple[str, int]] = []

    def dial(host: str, port: int) -> socket.socket:
        asked.append((host, port))
        raise OSError("refused by the guard")

    payload = {"status": "succeeded", "output": "https://replicate.delivery/a.png"}
    replicate.script("status", says(200, payload))
    guarded = ReplicateAdapter(account(replicate), dial=dial)
    assert "cannot download it" in failure(lambda: run(guarded, weights)).message
    assert asked == [("replicate.delivery", 443)] * 2


def test_a_run_that_takes_too_long_is_cancelled(
    replicate: FakeReplicate, adapter: ReplicateAdapter, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paid_run, "RUN_SECONDS", 0.05)
    replicate.steps = ("starting",)
    error = failure(lambda: run(adapter, weights, inputs=[INPUT]))
    assert (type(error), error.may_have_been_sent) == (ConnectionLostError, True)
    assert replicate.jobs[-1].status == "canceled"
