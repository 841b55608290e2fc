"""A finished model is run once: one paid POST through the queue, and the picture."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from finetune_portal.providers.contract import GenerateRequest
from finetune_portal.providers.errors import (
    ConnectionLostError,
    RequestRejectedError,
)
from finetune_portal.providers.fal import FalAdapter
from finetune_portal.providers.http import paid_run
from tests.fal.calls import KLEIN, KONTEXT
from tests.fal.server import HTML, FakeFal
from tests.fal.switches import Failure
from tests.provider import PICTURE, Answer, says
from tests.providers.fal.conftest import account, failure, request_for, uploaded

DAY = 24 * 3600
FETCHED = (Answer(), Answer())  # the fake's model reads the weights and the input over HTTP, too


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paid_run, "FIRST_PAUSE", 0.01)


@pytest.fixture
def weights(fal: FakeFal, adapter: FalAdapter) -> str:
    """The address of a trained LoRA."""
    handle = adapter.submit(request_for(uploaded(adapter))).handle
    fal.finish(fal.jobs[0])
    address = adapter.poll(handle).files[0].address
    fal.requests.clear()
    return address


def run(adapter: FalAdapter, weights: str, **fields: Any) -> bytes:
    inputs = fields.pop("inputs", None) or [adapter.put_image(PICTURE)]
    usual = {"trainer": KLEIN, "prompt": "Make it red"} | fields
    return adapter.generate(GenerateRequest(weights=weights, inputs=inputs, **usual))


def test_one_post_makes_a_picture(fal: FakeFal, adapter: FalAdapter, weights: str) -> None:
    picture = run(adapter, weights, strength=0.5, seed=7, steps=20, guidance=3.5)
    assert picture == PICTURE
    (post,) = fal.sent("submit")
    assert post.path == "/fal-ai/flux-2/klein/4b/base/edit/lora"
    body = post.json
    (image,) = body.pop("image_urls")
    assert any(image.endswith(path) for path, file in fal.files.stored.items() if file.name == "input.png")
    assert body == {
        "prompt": "Make it red",
        "loras": [{"path": weights, "scale": 0.5}],
        "num_images": 1,
        "output_format": "png",
        "seed": 7,
        "num_inference_steps": 20,
        "guidance_scale": 3.5,
    }
    wishes = json.loads(post.headers["x-fal-object-lifecycle-preference"])
    assert wishes == {"expiration_duration_seconds": DAY}


def test_kontext_takes_one_image_and_no_numbers_are_made_up(
    fal: FakeFal, adapter: FalAdapter, weights: str
) -> None:
    image = adapter.put_image(PICTURE)
    assert run(adapter, weights, trainer=KONTEXT, inputs=[image]) == PICTURE
    body = fal.sent("submit")[0].json
    assert body["image_url"] == image
    assert not body.keys() & {"seed", "num_inference_steps", "guidance_scale"}


@pytest.mark.parametrize(
    "fields",
    [
        {"trainer": "blackforestlabs/flux-3/klein/base/trainer/edit"},
        {"trainer": "fal-ai/unknown"},
        {"trainer": KONTEXT, "inputs": ["https://x.example/1.png", "https://x.example/2.png"]},
        {"inputs": [f"https://x.example/{number}.png" for number in range(5)]},
        {"strength": 4.5},
        {"strength": -1},
        {"steps": 3},
        {"trainer": KONTEXT, "steps": 9},
        {"guidance": 20.5},
    ],
)
def test_what_no_model_takes_is_not_sent(fal: FakeFal, adapter: FalAdapter, fields: dict[str, Any]) -> None:
    error = failure(lambda: run(adapter, "https://x.example/lora.safetensors", **fields))
    assert (type(error), error.may_have_been_sent) == (RequestRejectedError, False)
    assert fal.sent("submit") == []


def test_questions_that_fail_are_asked_again_as_the_run_is_paid(
    fal: FakeFal, adapter: FalAdapter, weights: str
) -> None:
    fal.script("status", says(503, HTML), says(429, {"detail": "slow down"}, Retry_After="1"))
    fal.script("result", says(502, HTML))
    fal.script("download", *FETCHED, says(500, b""))
    assert run(adapter, weights) == PICTURE
    assert len(fal.sent("submit")) == 1


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"images": []}, "without a picture"),
        ({"images": [{"url": "nowhere"}]}, "without a picture"),
        ({"images": None, "has_nsfw_concepts": [True]}, "safety check held it back"),
    ],
)
def test_an_output_without_a_picture_may_have_been_charged(
    fal: FakeFal, adapter: FalAdapter, weights: str, output: dict[str, Any], words: str
) -> None:
    fal.script("result", says(200, output))
    error = failure(lambda: run(adapter, weights))
    assert words in error.message
    assert error.may_have_been_sent


def test_a_run_that_fails_says_why(fal: FakeFal, adapter: FalAdapter, weights: str) -> None:
    fal.failure = Failure(
        422, [{"loc": ["body", "prompt"], "msg": "flagged", "type": "content_policy_violation"}], ""
    )
    error = failure(lambda: run(adapter, weights))
    assert error.message == "fal’s content check refused it. It says: prompt: flagged."
    assert error.may_have_been_sent


def test_a_picture_that_is_none_or_not_there(fal: FakeFal, adapter: FalAdapter, weights: str) -> None:
    fal.script("download", *FETCHED, says(200, b"<html>"))
    assert "without a picture" in failure(lambda: run(adapter, weights)).message
    fal.file_fault = "404"
    assert "cannot download it" in failure(lambda: run(adapter, weights)).message


def test_a_picture_of_another_host_is_fetched_through_the_guard(fal: FakeFal, weights: str) -> None:
    asked: list[tuple[str, int]] = []

    def dial(host: str, port: int) -> socket.socket:
        asked.append((host, port))
        raise OSError("refused by the guard")

    fal.script("result", says(200, {"images": [{"url": "https://pictures.example/a.png"}]}))
    guarded = FalAdapter(account(fal), dial=dial)
    assert "cannot download it" in failure(lambda: run(guarded, weights)).message
    assert asked == [("pictures.example", 443)] * 2


def test_a_run_that_takes_too_long_is_cancelled(
    fal: FakeFal, adapter: FalAdapter, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paid_run, "RUN_SECONDS", 0.05)
    fal.steps = ("IN_QUEUE",)
    error = failure(lambda: run(adapter, weights, inputs=["https://x.example/a.png"]))
    assert (type(error), error.may_have_been_sent) == (ConnectionLostError, True)
    assert fal.jobs[-1].failure
    assert fal.jobs[-1].failure.status == 499
