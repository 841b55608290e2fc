"""The client against the real engine on a socket: the whole life of one job, and the engine's refusals."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import requests
from safetensors.numpy import load

from finetune_portal.providers.errors import (
    CallError,
    OutOfCreditsError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    TrainingClosedError,
    UnauthorizedError,
)
from finetune_portal.providers.segmind import FineTune, SegmindClient, SubmitRequest, phase
from tests.engine.calling import pairs, zipped
from tests.running import RunningEngine

ORDER = ["requested", "data", "training", "trained", "deploying", "available"]


@pytest.fixture
def client(engine: RunningEngine) -> Iterator[SegmindClient]:
    with closing(SegmindClient(engine.url, engine.key)) as made:
        yield made


def reached(look: Callable[[], FineTune], wanted: str, *, seconds: float = 20.0) -> list[FineTune]:
    """All that was seen on the way to this phase."""
    latest = time.monotonic() + seconds
    seen = [look()]
    while phase(seen[-1].status) != wanted:
        assert phase(seen[-1].status) != "failed", seen[-1].error_message
        assert time.monotonic() < latest, f"it is still {seen[-1].status}"
        seen.append(look())
    return seen


def test_the_whole_life_of_one_job(client: SegmindClient) -> None:
    content = zipped(pairs())
    target = client.presigned_url("red-hats")
    assert client.upload(target.presigned_url, io.BytesIO(content), len(content)).md5
    before = client.credits()

    request = SubmitRequest("Red hats 7f3a", target.s3_url, "Put a red hat on", 0.0004, 300)
    taken = client.submit(request)
    assert (taken.status, taken.name) == ("REQUESTED", "Red hats 7f3a")
    (listed,) = [item for item in client.list() if taken.request_id in item.ids]
    assert (listed.name, listed.steps, listed.learning_rate) == ("Red hats 7f3a", 300, 0.0004)
    assert (listed.base_model, listed.theme, listed.public) == ("FLUX", "KONTEXT", False)

    seen = reached(lambda: client.details(taken.request_id), "available")
    phases = [ORDER.index(phase(item.status)) for item in seen]
    assert phases == sorted(phases)
    done = seen[-1]
    assert taken.request_id in done.ids
    assert done.instance_prompt == "Put a red hat on"
    assert done.data_source_path == target.s3_url
    assert done.slug.startswith(taken.request_id)
    assert done.created_at <= done.updated_at
    assert client.credits().credits < before.credits

    for public in (True, False):
        client.set_public(taken.request_id, public=public)
        assert client.details(taken.request_id).public is public
        (listed,) = [item for item in client.list() if taken.request_id in item.ids]
        assert listed.public is public

    answer = requests.get(client.download_url(done.cloud_storage_url), timeout=30)
    assert answer.status_code == 200
    assert load(answer.content)


def test_a_job_that_fails_says_why(client: SegmindClient) -> None:
    content = zipped({"readme.txt": b"no pictures here"})
    target = client.presigned_url("empty")
    client.upload(target.presigned_url, io.BytesIO(content), len(content))
    taken = client.submit(SubmitRequest("empty", target.s3_url, "Put a hat on", 0.0004, 300))
    failed = reached(lambda: client.details(taken.request_id), "failed")[-1]
    assert "no image pairs" in failed.error_message


def test_a_wrong_key(engine: RunningEngine) -> None:
    with closing(SegmindClient(engine.url, "another key")) as stranger, pytest.raises(UnauthorizedError):
        stranger.list()


def test_a_refusal_comes_with_its_reason_and_was_not_taken(client: SegmindClient) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        client.submit(SubmitRequest("refused", "not a URL", "Put a hat on", 0.0004, 300))
    assert caught.value.detail
    assert caught.value.detail in caught.value.message
    assert not caught.value.may_have_been_sent
    assert not [item for item in client.list() if item.name == "refused"]
    with pytest.raises(RequestRejectedError):
        client.details("no-such-job")


@pytest.mark.parametrize(
    ("word", "kind", "is_taken"),
    [
        ("refuse-credits", OutOfCreditsError, False),
        ("refuse-closed", TrainingClosedError, False),
        ("busy", RateLimitedError, False),
        ("lost-answer", ServerError, True),
    ],
)
def test_the_refusals_to_try_on_purpose(
    client: SegmindClient, word: str, kind: type[CallError], is_taken: bool
) -> None:
    with pytest.raises(kind) as caught:
        client.submit(SubmitRequest(f"client {word}", "http://192.0.2.1/d.zip", "Put a hat on", 0.0004, 300))
    assert caught.value.may_have_been_sent is is_taken
    assert bool([item for item in client.list() if item.name == f"client {word}"]) is is_taken
    if isinstance(caught.value, RateLimitedError):
        assert caught.value.retry_after
