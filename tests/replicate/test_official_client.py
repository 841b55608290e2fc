"""Replicate's own client for Python, unchanged, takes the fake for Replicate."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.provider.client_process import CallError, ClientProcess
from tests.provider.pairs import packed
from tests.provider.results import WEIGHTS
from tests.replicate import webhooks
from tests.replicate.calls import KONTEXT, PRUNA
from tests.replicate.server import KEY, FakeReplicate
from tests.replicate.switches import Failure

MIB = 1 << 20


@pytest.fixture(scope="module")
def running() -> Iterator[FakeReplicate]:
    with FakeReplicate() as fake:
        yield fake


@pytest.fixture
def replicate(running: FakeReplicate) -> FakeReplicate:
    """The one that runs, without what earlier tests left."""
    running.clear()
    return running


@pytest.fixture(scope="module")
def client(running: FakeReplicate) -> Iterator[ClientProcess]:
    environment = {
        "REPLICATE_API_TOKEN": KEY,
        "REPLICATE_BASE_URL": running.url,
        "REPLICATE_POLL_INTERVAL": "0.01",
    }
    started = ClientProcess.start(sys.executable, "-m", "tests.replicate.python_client", **environment)
    with started.process:
        yield started
        assert started.process.stdin
        started.process.stdin.close()


def train(client: ClientProcess, **fields: Any) -> str:
    """The id of a training with a dataset and a destination of its own."""
    name = f"portal-{os.urandom(4).hex()}"
    destination = client("create_model", name=name)
    payload = {"input_images": client.upload(packed()), "training_steps": 500}
    return str(client("train", model=KONTEXT, input=payload, destination=destination, **fields)["id"])


def test_a_training_from_upload_to_weights(replicate: FakeReplicate, client: ClientProcess) -> None:
    job_id = train(client)
    seen = [client("training", id=job_id) for _ in range(3)]
    assert [each["status"] for each in seen] == ["starting", "processing", "succeeded"]
    assert seen[-1]["destination"].startswith("a-team/portal-")
    (path,) = [path for path in replicate.delivered if seen[-1]["output"]["weights"].endswith(path)]
    assert replicate.delivered[path] == WEIGHTS
    assert len(replicate.jobs) == len(replicate.sent("submit")) == 1


def test_a_trainer_that_is_a_prediction_with_the_progress_of_its_log(
    replicate: FakeReplicate, client: ClientProcess
) -> None:
    payload = {"image_data": client.upload(packed()), "steps": 500}
    made = client("predict", model=PRUNA, input=payload)
    assert (made["status"], made["progress"]) == ("succeeded", [10, 10])
    assert made["output"].endswith(".safetensors")
    assert client("predictions") == [replicate.jobs[0].id]


def test_the_lists_are_paged(replicate: FakeReplicate, client: ClientProcess) -> None:
    replicate.page_size = 2
    ids = [train(client) for _ in range(3)]
    assert client("trainings") == ids[::-1]
    assert len(replicate.sent("history")) == 2


def test_cancel(replicate: FakeReplicate, client: ClientProcess) -> None:
    assert client("cancel", id=train(client)) == "canceled"


def test_a_failure_and_errors_are_those_that_the_client_reads(
    replicate: FakeReplicate, client: ClientProcess
) -> None:
    replicate.failure, replicate.steps = Failure("Out of memory"), ("starting", "succeeded")
    assert client("training", id=train(client))["error"] == "Out of memory"
    with pytest.raises(CallError) as invalid:
        client("predict", model=PRUNA, input={"image_data": "x", "steps": 1})
    assert (invalid.value.status, invalid.value.name) == (422, "Input validation failed")
    with pytest.raises(CallError) as unknown:
        client("training", id="unknown")
    assert unknown.value.status == 404
    replicate.locked_on = {"submit"}
    with pytest.raises(CallError) as locked:
        train(client)
    assert (locked.value.status, locked.value.detail) == (402, replicate.locked_reason)
    replicate.key = "another"
    with pytest.raises(CallError) as bad_key:
        client("account")
    assert (bad_key.value.status, bad_key.value.name) == (401, "Unauthenticated")


def test_a_lost_answer_makes_one_job(replicate: FakeReplicate, client: ClientProcess) -> None:
    """Measured: this client repeats no POST."""
    replicate.loses_answer = True
    with pytest.raises(CallError) as lost:
        train(client)
    assert lost.value.status == 0
    assert len(replicate.jobs) == len(replicate.sent("submit")) == 1


def test_its_check_of_a_message_takes_those_of_the_fake(
    replicate: FakeReplicate, client: ClientProcess
) -> None:
    job_id = train(client, webhook="http://127.0.0.1:9/hook")
    job = replicate.job(job_id)
    assert job
    assert (job.webhook, job.webhook_events) == ("http://127.0.0.1:9/hook", ("completed",))
    replicate.finish(job)
    headers, body = webhooks.message(replicate, job)
    fields = {"headers": headers, "body": body.decode(), "tolerance": 300}
    assert client("validate", **fields)
    assert not client("validate", **fields, secret=webhooks.new_secret())
    assert not client("validate", **(fields | {"body": f"{body.decode()} "}))
    replicate.webhook_age = 400
    headers, body = webhooks.message(replicate, job)
    assert not client("validate", headers=headers, body=body.decode(), tolerance=300)


def test_the_bytes_that_were_uploaded_lie_at_the_address(
    replicate: FakeReplicate, client: ClientProcess
) -> None:
    content = os.urandom(MIB)
    address = client.upload(content)
    (upload,) = replicate.uploads.values()
    assert upload.content == content
    assert upload.id in address
