"""Running a model and hosting its picture: every form of answer, and which failures may have been paid."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from finetune_portal.providers.errors import (
    CallError,
    ConnectionLostError,
    InvalidResponseError,
    OutOfCreditsError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)
from finetune_portal.providers.segmind import RunRequest, SegmindClient
from finetune_portal.providers.segmind.inference import UPLOAD_BASE_URLS
from tests.ports import closed_port
from tests.provider import KEY, PICTURE, Answer, ScriptedProvider, breaks, endless, half, says
from tests.providers.segmind.test_connection_errors import failure

REQUEST = RunRequest("turn day into night", "https://example.com/day.png", 0.8, 7, 28, 2.5)
SLUG = "0f0a-day-to-night"


def run(client: SegmindClient) -> bytes:
    return client.inference.run(SLUG, REQUEST)


def test_it_sends_what_the_pages_of_the_base_model_and_of_loras_show(
    client: SegmindClient, provider: ScriptedProvider
) -> None:
    assert run(client) == PICTURE
    (sent,) = provider.sent("run")
    assert (sent.method, sent.path, sent.headers["x-api-key"]) == ("POST", f"/v1/{SLUG}", KEY)
    assert sent.json == {
        "prompt": "turn day into night",
        "input_image": "https://example.com/day.png",
        "lora_strength": 0.8,
        "seed": 7,
        "num_inference_steps": 28,
        "guidance": 2.5,
        "aspect_ratio": "match_input_image",
        "output_format": "png",
    }


def test_numbers_that_nobody_chose_are_left_to_the_model(
    client: SegmindClient, provider: ScriptedProvider
) -> None:
    client.inference.run(SLUG, RunRequest("turn day into night", "https://example.com/day.png", 0.8))
    assert not provider.sent("run")[0].json.keys() & {"seed", "num_inference_steps", "guidance"}


def test_a_slug_stays_one_piece_of_the_path(client: SegmindClient, provider: ScriptedProvider) -> None:
    client.inference.run("a/b?c#d e", REQUEST)
    assert provider.sent("run")[0].path == "/v1/a%2Fb%3Fc%23d%20e"


@pytest.mark.parametrize(
    "payload_with",
    [
        lambda url: {"image": url},
        lambda url: {"output": [url]},
        lambda url: {"images": [{"url": url, "width": 8}]},
        lambda url: {"status": "done", "result": {"image_url": url}},
        lambda url: url,
        lambda url: {"image": f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"},
    ],
)
def test_an_address_in_the_answer_is_followed_without_the_key(
    client: SegmindClient, provider: ScriptedProvider, payload_with: Any
) -> None:
    provider.stored["/pictures/1"] = PICTURE
    provider.script("run", says(200, payload_with(f"{provider.url}/pictures/1")))
    assert run(client) == PICTURE
    assert all("x-api-key" not in request.headers for request in provider.sent("picture"))


def test_a_picture_that_is_paid_is_fetched_again(client: SegmindClient, provider: ScriptedProvider) -> None:
    provider.stored["/pictures/1"] = PICTURE
    provider.script("run", says(200, {"image": f"{provider.url}/pictures/1"}))
    provider.script("picture", breaks(taken=False))
    assert run(client) == PICTURE
    assert len(provider.runs) == 1


@pytest.mark.parametrize(
    "answer",
    [
        says(404),
        says(200, b"<html>"),
        says(200, b""),
        breaks(taken=False),
        endless(body=b"\x89PNG" * 100_000),
    ],
)
def test_one_that_cannot_be_fetched_may_be_paid(
    client: SegmindClient, provider: ScriptedProvider, answer: Answer
) -> None:
    provider.script("run", says(200, {"image": f"{provider.url}/pictures/1"}))
    provider.script("picture", answer, answer)
    error = failure(lambda: run(client))
    assert isinstance(error, InvalidResponseError)
    assert error.may_have_been_sent


@pytest.mark.parametrize(
    ("answer", "kind", "paid"),
    [
        (says(401, {"error": "Unauthorized"}), UnauthorizedError, False),
        (says(406, {"error": "Insufficient credits"}), OutOfCreditsError, False),
        (says(404, {"error": "Not found"}), RequestRejectedError, False),
        (says(422, {"error": "prompt is missing"}), RequestRejectedError, False),
        (says(429, {"error": "Slow down"}, Retry_After="7"), RateLimitedError, False),
        (says(503, {"error": "Trainings have all."}, Retry_After="30"), UnavailableError, False),
        (says(503, {"error": "Oops"}), ServerError, True),
        (says(500, b"<html><h1>500</h1></html>"), ServerError, True),
        (says(302, b"", Location="https://example.com/"), ServerError, True),
        (says(200, b"<html>Welcome</html>"), InvalidResponseError, True),
        (says(200, b""), InvalidResponseError, True),
        (says(200, {"status": "QUEUED"}), InvalidResponseError, True),
        (says(200, {"image": "ftp://example.com/a.png"}), InvalidResponseError, True),
        (says(200, {"image": "data:image/png;base64,!"}), InvalidResponseError, True),
        (breaks(taken=True), ConnectionLostError, True),
        (breaks("reset", taken=True), ConnectionLostError, True),
        (half(), ConnectionLostError, True),
        (endless(body=PICTURE), InvalidResponseError, True),
    ],
)
def test_each_failure_has_its_kind(
    client: SegmindClient, provider: ScriptedProvider, answer: Answer, kind: type[CallError], *, paid: bool
) -> None:
    provider.script("run", answer)
    error = failure(lambda: run(client))
    assert type(error) is kind
    assert error.may_have_been_sent is paid


def test_no_room_is_told_in_the_providers_words(client: SegmindClient, provider: ScriptedProvider) -> None:
    provider.script("run", says(503, {"error": "Trainings have all of it."}, Retry_After="30"))
    with pytest.raises(UnavailableError) as caught:
        run(client)
    assert (caught.value.message, caught.value.retry_after) == ("Trainings have all of it.", 30.0)


def test_what_never_left_was_not_paid() -> None:
    error = failure(lambda: run(SegmindClient(f"http://127.0.0.1:{closed_port()}", KEY)))
    assert type(error) is UnreachableError


def test_a_picture_is_hosted_for_the_provider(client: SegmindClient, provider: ScriptedProvider) -> None:
    """docs/provider-api.md, 13."""
    address = client.inference.upload_image(PICTURE)
    assert address.startswith(f"{provider.url}/pictures/")
    (sent,) = provider.sent("host")
    assert sent.headers["x-api-key"] == KEY
    assert sent.json == {"data_urls": [f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"]}
    assert UPLOAD_BASE_URLS == {"https://api.segmind.com": "https://workflows-api.segmind.com"}


@pytest.mark.parametrize(
    "payload", [{}, {"file_urls": []}, {"file_urls": ["data:image/png;base64,AA=="]}, "x"]
)
def test_a_hosting_without_an_address_is_a_bad_reply(
    client: SegmindClient, provider: ScriptedProvider, payload: Any
) -> None:
    provider.script("host", says(200, payload))
    assert isinstance(failure(lambda: client.inference.upload_image(PICTURE)), InvalidResponseError)
