"""A job is followed: its states, its weights, its log, and what never ends it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from finetune_portal.providers.contract import Cancelled, Handle, Phase
from finetune_portal.providers.errors import (
    GoneError,
)
from finetune_portal.providers.http.files import Files
from finetune_portal.providers.replicate import ReplicateAdapter
from tests.provider import says
from tests.provider.pairs import PAIR, packed
from tests.provider.results import WEIGHTS
from tests.providers.failures import failure
from tests.providers.replicate.conftest import only_job, request_for, uploaded
from tests.replicate.calls import KONTEXT, PRUNA
from tests.replicate.server import FakeReplicate
from tests.replicate.switches import Failure

WAITS = ("starting",)
STEP_BACK = ("starting", "starting", "processing", "starting", "processing", "succeeded")


@pytest.fixture
def handle(replicate: FakeReplicate, adapter: ReplicateAdapter, trainer: str) -> Handle:
    """A job with a dataset of its own that goes on when the test says so."""
    replicate.steps = WAITS
    return adapter.submit(request_for(uploaded(adapter), trainer=trainer)).handle


def test_a_job_goes_from_start_to_weights_with_a_step_back(
    replicate: FakeReplicate, adapter: ReplicateAdapter, trainer: str
) -> None:
    replicate.steps = STEP_BACK
    handle = adapter.submit(request_for(uploaded(adapter), trainer=trainer)).handle
    snapshots = [adapter.poll(handle) for _ in range(5)]
    assert [each.phase for each in snapshots] == [
        Phase.REQUESTED,
        Phase.TRAINING,
        Phase.REQUESTED,
        Phase.TRAINING,
        Phase.AVAILABLE,
    ]
    assert [each.status for each in snapshots][-2:] == ["processing", "succeeded"]
    weights, *samples = snapshots[-1].files
    assert (weights.role, weights.name) == ("weights", "trained.safetensors")
    assert Files(replicate.api_url).get_whole(weights.address, 1 << 20) == WEIGHTS
    assert [each.role for each in samples] == ["sample"] * (2 if trainer == KONTEXT else 0)


def test_what_a_prediction_made_is_kept_for_an_hour(
    replicate: FakeReplicate, adapter: ReplicateAdapter, handle: Handle, trainer: str
) -> None:
    replicate.finish(only_job(replicate))
    expires_at = adapter.poll(handle).files[0].expires_at
    if trainer == KONTEXT:  # nobody says it of a training
        assert expires_at is None
        return
    ended_at = only_job(replicate).ended_at
    assert expires_at
    assert ended_at
    assert expires_at - ended_at == timedelta(hours=1)


def test_a_deleted_result_is_gone_and_no_failure(
    replicate: FakeReplicate, adapter: ReplicateAdapter, handle: Handle
) -> None:
    replicate.results_expired = True
    replicate.finish(only_job(replicate))
    error = failure(lambda: adapter.poll(handle))
    assert type(error) is GoneError
    assert "has deleted the result" in error.message


def test_unknown_fields_change_nothing(
    replicate: FakeReplicate, adapter: ReplicateAdapter, handle: Handle
) -> None:
    replicate.has_unknown_fields = True
    assert adapter.poll(handle).phase is Phase.REQUESTED
    replicate.finish(only_job(replicate))
    assert adapter.poll(handle).phase is Phase.AVAILABLE


def test_an_unknown_word_counts_as_running_and_is_kept(
    replicate: FakeReplicate, adapter: ReplicateAdapter, handle: Handle
) -> None:
    replicate.script("status", says(200, {"status": "paused", "reason": "maintenance", "logs": "x"}))
    snapshot = adapter.poll(handle)
    assert (snapshot.phase, snapshot.status) == (Phase.UNKNOWN, "paused")
    assert snapshot.raw == {"status": "paused", "reason": "maintenance"}


def test_neither_the_address_of_the_dataset_nor_that_of_the_webhook_is_kept(
    replicate: FakeReplicate, adapter: ReplicateAdapter, handle: Handle
) -> None:
    assert adapter.poll(handle).raw.keys() & {"input", "webhook", "logs"} == set()


@pytest.mark.parametrize(
    "output",
    [
        None,
        "",
        "javascript:alert(1)",
        {},
        [],
        {"version": "a-team/x:1"},
        {"weights": 5, "validation_images": ["https://x.example/1.png"]},
        {"weights": "http://" + "x" * 2000},
    ],
)
def test_a_result_without_sure_weights_is_a_failure_that_keeps_what_replicate_said(
    replicate: FakeReplicate, adapter: ReplicateAdapter, handle: Handle, output: Any
) -> None:
    replicate.script("status", says(200, {"status": "succeeded", "output": output}))
    snapshot = adapter.poll(handle)
    assert (snapshot.phase, snapshot.files) == (Phase.FAILED, ())
    assert "names no file of weights" in snapshot.error
    assert snapshot.raw["output"] == output


@pytest.mark.parametrize(
    ("wrong", "phase", "words"),
    [
        (Failure("Out of memory"), Phase.FAILED, "The job failed at Replicate. It says: Out of memory."),
        (Failure(""), Phase.FAILED, "The job failed at Replicate."),
        (Failure("", "aborted"), Phase.FAILED, "Replicate did not start it in time."),
        (Failure("", "canceled"), Phase.CANCELLED, "It was cancelled."),
    ],
)
def test_a_bad_end_is_said_in_plain_words(
    replicate: FakeReplicate,
    adapter: ReplicateAdapter,
    handle: Handle,
    wrong: Failure,
    phase: Phase,
    words: str,
) -> None:
    replicate.fail(only_job(replicate), wrong)
    snapshot = adapter.poll(handle)
    assert (snapshot.phase, snapshot.status, snapshot.error) == (phase, wrong.status, words)
    assert snapshot.files == ()


def test_a_bad_dataset_fails_with_its_reason(
    replicate: FakeReplicate, adapter: ReplicateAdapter, trainer: str
) -> None:
    replicate.steps = WAITS
    members = {name: content for name, content in PAIR.items() if name != "a_end.png"}
    request = request_for(uploaded(adapter, packed(members)), trainer=trainer)
    handle = adapter.submit(request).handle
    replicate.finish(only_job(replicate))
    assert "a has no end image" in adapter.poll(handle).error


def test_the_reason_of_a_failure_shows_no_signed_address(
    replicate: FakeReplicate, adapter: ReplicateAdapter, handle: Handle
) -> None:
    address = only_job(replicate).dataset
    assert "?" in address
    replicate.fail(only_job(replicate), Failure(f"Cannot read {address} with {replicate.key}"))
    error = adapter.poll(handle).error
    assert address not in error
    assert replicate.key not in error


def test_a_job_that_replicate_does_not_know_is_gone_and_not_failed(
    replicate: FakeReplicate, adapter: ReplicateAdapter, handle: Handle
) -> None:
    replicate.jobs.clear()
    for call in (adapter.poll, adapter.logs, adapter.cancel):
        assert type(failure(lambda call=call: call(handle))) is GoneError


def test_a_job_that_did_not_start_is_removed_and_a_running_one_is_asked_to_stop(
    replicate: FakeReplicate, adapter: ReplicateAdapter, handle: Handle
) -> None:
    assert adapter.cancel(handle) is Cancelled.REMOVED
    assert adapter.poll(handle).phase is Phase.CANCELLED
    assert adapter.cancel(handle) is Cancelled.TOO_LATE
    assert len(replicate.sent("cancel")) == 1
    running = adapter.submit(request_for(uploaded(adapter))).handle
    replicate.move(replicate.jobs[-1], "processing")
    assert adapter.cancel(running) is Cancelled.REQUESTED


def test_a_running_job_may_ignore_the_wish(
    replicate: FakeReplicate, adapter: ReplicateAdapter, handle: Handle
) -> None:
    replicate.ignores_cancel = True
    replicate.move(only_job(replicate), "processing")
    assert adapter.cancel(handle) is Cancelled.REQUESTED
    assert adapter.poll(handle).phase is Phase.TRAINING
    replicate.finish(only_job(replicate))
    assert adapter.cancel(handle) is Cancelled.TOO_LATE
    assert adapter.poll(handle).phase is Phase.AVAILABLE


def test_the_log_is_whole_each_time(
    replicate: FakeReplicate, adapter: ReplicateAdapter, handle: Handle
) -> None:
    assert adapter.logs(handle) == []
    replicate.move(only_job(replicate), "processing")
    for _ in range(2):
        texts = [line.text for line in adapter.logs(handle)]
        assert texts == [line.strip() for line in replicate.log_lines]


def test_a_log_shows_the_last_of_a_bar_and_neither_colours_nor_secrets(
    replicate: FakeReplicate, adapter: ReplicateAdapter, handle: Handle
) -> None:
    signed = "https://x.example/a.zip?identity=c2VjcmV0"
    bar, colours = " 1/10\r 2/10\r\n", f"\x1b[32mReading {signed}\x1b[0m\n"
    only_job(replicate).logs = f"{bar}{colours}\nas {replicate.key}\n"
    texts = [line.text for line in adapter.logs(handle)]
    assert texts == ["2/10", "Reading https://x.example/a.zip", "as (the API key)"]


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_no_calendar_of_ours_has_is_none(
    replicate: FakeReplicate, adapter: ReplicateAdapter, time: str
) -> None:
    """An hour after it there is no time at all."""
    replicate.steps = WAITS
    handle = adapter.submit(request_for(uploaded(adapter))).handle
    replicate.finish(only_job(replicate))
    done = {"id": handle.id, "model": PRUNA, "status": "succeeded", "completed_at": time}
    replicate.script("status", says(200, {**done, "output": f"{replicate.api_url}/x.safetensors"}))
    assert adapter.poll(handle).files[0].expires_at is None
