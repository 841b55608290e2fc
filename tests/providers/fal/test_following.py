"""A job is followed: three states, the result before success, and what never ends a job."""

from __future__ import annotations

from typing import Any

import pytest

from finetune_portal.providers.contract import Cancelled, Handle, Phase, ResultFile, Snapshot
from finetune_portal.providers.errors import (
    CallError,
    GoneError,
    InvalidResponseError,
    OutOfCreditsError,
    RateLimitedError,
    ServerError,
    UnauthorizedError,
)
from finetune_portal.providers.fal import FalAdapter
from finetune_portal.providers.http.files import Files
from tests.fal.calls import PAIR, packed
from tests.fal.server import HTML, FakeFal
from tests.fal.switches import Failure
from tests.provider import says
from tests.provider.results import WEIGHTS
from tests.providers.fal.conftest import failure, only_job, request_for, uploaded

WAITS = ("IN_QUEUE",)


@pytest.fixture
def handle(fal: FakeFal, adapter: FalAdapter) -> Handle:
    """A job with a dataset of its own that goes on when the test says so."""
    fal.steps = WAITS
    return adapter.submit(request_for(uploaded(adapter))).handle


def ended(fal: FakeFal, adapter: FalAdapter, handle: Handle) -> Snapshot:
    fal.finish(only_job(fal))
    return adapter.poll(handle)


def test_a_job_goes_from_the_queue_to_its_weights(fal: FakeFal, adapter: FalAdapter) -> None:
    fal.steps = ("IN_QUEUE", "IN_QUEUE", "IN_QUEUE", "IN_PROGRESS", "IN_QUEUE", "IN_PROGRESS", "COMPLETED")
    handle = adapter.submit(request_for(uploaded(adapter))).handle
    snapshots = [adapter.poll(handle) for _ in range(6)]
    assert [(each.phase, each.jobs_ahead) for each in snapshots] == [
        (Phase.REQUESTED, 1),
        (Phase.REQUESTED, 0),
        (Phase.TRAINING, None),
        (Phase.REQUESTED, 0),
        (Phase.TRAINING, None),
        (Phase.AVAILABLE, None),
    ]
    assert [each.status for each in snapshots][-2:] == ["IN_PROGRESS", "COMPLETED"]
    weights, config = snapshots[-1].files
    assert (weights.role, weights.name, weights.size) == (
        "weights",
        "pytorch_lora_weights.safetensors",
        len(WEIGHTS),
    )
    assert (config.role, config.name) == ("config", "config.json")
    assert Files(fal.cdn_url).get_whole(weights.address, 1 << 20) == WEIGHTS


def test_the_link_to_a_file_is_its_address_if_that_is_secure(
    fal: FakeFal, adapter: FalAdapter, handle: Handle
) -> None:
    weights = ended(fal, adapter, handle).files[0]
    assert adapter.file_link(weights) == weights.address
    assert adapter.files.get_whole(weights.address, 1 << 20) == WEIGHTS
    insecure = ResultFile("weights", "http://cdn.example/a.safetensors")
    assert type(failure(lambda: adapter.file_link(insecure))) is InvalidResponseError


def test_unknown_fields_change_nothing(fal: FakeFal, adapter: FalAdapter, handle: Handle) -> None:
    fal.has_unknown_fields = True
    assert adapter.poll(handle).phase is Phase.REQUESTED
    assert ended(fal, adapter, handle).phase is Phase.AVAILABLE


@pytest.mark.parametrize(
    ("output", "files"),
    [
        ({"lora_file": {"url": "https://v3b.fal.media/files/b/x/a.bin"}}, ["a.bin"]),
        (
            {
                "diffusers_lora_file": {"url": "https://v3b.fal.media/files/b/x/a%20b.safetensors"},
                "other": {"url": "https://v3b.fal.media/files/b/x/c.safetensors"},
            },
            ["a b.safetensors"],
        ),
        (
            {
                "checkpoints": [{"file": {"url": "https://v3b.fal.media/files/b/x/final.safetensors"}}],
                "config_file": {"url": "https://v3b.fal.media/files/b/x/config.json"},
            },
            ["final.safetensors", "config.json"],
        ),
    ],
)
def test_weights_stand_in_their_field_or_are_the_only_safetensors(
    fal: FakeFal, adapter: FalAdapter, handle: Handle, output: dict[str, Any], files: list[str]
) -> None:
    only_job(fal).result = output
    assert [file.name for file in ended(fal, adapter, handle).files] == files


@pytest.mark.parametrize(
    "output",
    [
        {},
        {"config_file": {"url": "https://v3b.fal.media/files/b/x/config.json"}},
        {"diffusers_lora_file": {"url": "javascript:alert(1)"}},
        {"a": {"url": "https://x.example/1.safetensors"}, "b": {"url": "https://x.example/2.safetensors"}},
    ],
)
def test_a_result_without_sure_weights_is_a_failure_that_keeps_what_fal_said(
    fal: FakeFal, adapter: FalAdapter, handle: Handle, output: dict[str, Any]
) -> None:
    only_job(fal).result = output
    snapshot = ended(fal, adapter, handle)
    assert (snapshot.phase, snapshot.files) == (Phase.FAILED, ())
    assert "names no file of weights" in snapshot.error
    assert snapshot.raw["result"] == output


def test_a_file_of_which_only_the_address_is_known(fal: FakeFal, adapter: FalAdapter, handle: Handle) -> None:
    fal.files_are_bare, fal.weights_field = True, "lora_file"
    weights = ended(fal, adapter, handle).files[0]
    assert weights == ResultFile("weights", weights.address, weights.name)
    assert weights.name.endswith("pytorch_lora_weights.safetensors")


@pytest.mark.parametrize("status_has_error", [True, False])
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            Failure(422, [{"loc": ["body", "steps"], "msg": "too small", "type": "greater_than_equal"}], ""),
            "The job failed at fal. It says: steps: too small.",
        ),
        (
            Failure(500, "The runner disconnected.", "runner_disconnected"),
            "fal lost the machine that ran it. It says: The runner disconnected.",
        ),
        (
            Failure(504, "No runner within 600 s.", "startup_timeout"),
            "fal did not start a machine for it in time. It says: No runner within 600 s.",
        ),
        (
            Failure(422, [{"loc": ["body", "x"], "msg": "404", "type": "file_download_error"}], ""),
            "fal could not download a file that the request names. It says: x: 404.",
        ),
    ],
)
def test_a_failure_is_said_in_plain_words(
    fal: FakeFal, adapter: FalAdapter, handle: Handle, status_has_error: bool, wrong: Failure, words: str
) -> None:
    fal.status_has_error = status_has_error
    fal.fail(only_job(fal), wrong)
    snapshot = adapter.poll(handle)
    assert (snapshot.phase, snapshot.status, snapshot.error) == (Phase.FAILED, "COMPLETED", words)
    assert snapshot.files == ()


def test_a_bad_dataset_fails_with_its_reason(fal: FakeFal, adapter: FalAdapter) -> None:
    fal.steps = WAITS
    members = {name: content for name, content in PAIR.items() if name != "a_end.png"}
    handle = adapter.submit(request_for(uploaded(adapter, packed(members)))).handle
    assert "a has no end image" in ended(fal, adapter, handle).error


def test_an_error_of_the_status_is_enough_where_the_result_cannot_be_read(
    fal: FakeFal, adapter: FalAdapter, handle: Handle
) -> None:
    fal.script("status", says(200, {"status": "COMPLETED", "error": "Out of memory", "logs": []}))
    fal.script("result", says(503, HTML))
    snapshot = adapter.poll(handle)
    assert (snapshot.phase, snapshot.error) == (
        Phase.FAILED,
        "The job failed at fal. It says: Out of memory.",
    )


@pytest.mark.parametrize("has_error", [True, False])
def test_what_was_cancelled_did_not_fail(
    fal: FakeFal, adapter: FalAdapter, handle: Handle, has_error: bool
) -> None:
    fal.status_has_error = has_error
    assert adapter.cancel(handle) is Cancelled.REQUESTED
    assert adapter.poll(handle).phase is Phase.CANCELLED


def test_a_result_that_is_still_in_progress_is_not_the_end(
    fal: FakeFal, adapter: FalAdapter, handle: Handle
) -> None:
    fal.script("status", says(200, {"status": "COMPLETED", "logs": []}))
    snapshot = adapter.poll(handle)
    assert (snapshot.phase, snapshot.status) == (Phase.TRAINING, "COMPLETED")


def locked(fal: FakeFal) -> None:
    fal.locked_on = {"result"}


def rejected(fal: FakeFal) -> None:
    fal.script("result", says(401, {"detail": "Cannot access application"}))


def busy(fal: FakeFal) -> None:
    fal.busy_on = {"result"}


def proxied(fal: FakeFal) -> None:
    fal.html_errors_on = {"result"}


@pytest.mark.parametrize(
    ("outage", "kind"),
    [
        (locked, OutOfCreditsError),
        (rejected, UnauthorizedError),
        (busy, RateLimitedError),
        (proxied, ServerError),
    ],
)
def test_no_outage_of_the_result_ends_a_job(
    fal: FakeFal, adapter: FalAdapter, handle: Handle, outage: Any, kind: type[CallError]
) -> None:
    fal.script("status", says(200, {"status": "COMPLETED", "logs": []}))
    outage(fal)
    assert type(failure(lambda: adapter.poll(handle), fal.key)) is kind


@pytest.mark.parametrize("body", [HTML, b"", b"[]", b'{"detail": 5', b"\xff\xfe"])
def test_a_result_that_cannot_be_read_ends_nothing(
    fal: FakeFal, adapter: FalAdapter, handle: Handle, body: bytes
) -> None:
    fal.finish(only_job(fal))
    for status in (200, 404, 500, 502):
        fal.script("result", says(status, body))
        error = failure(lambda: adapter.poll(handle))
        assert type(error) is (InvalidResponseError if status == 200 else ServerError)


def test_a_job_that_fal_does_not_know_is_gone_and_not_failed(
    fal: FakeFal, adapter: FalAdapter, handle: Handle
) -> None:
    """A 404 of a proxy before fal proves nothing."""
    job = only_job(fal)
    fal.jobs.clear()
    assert type(failure(lambda: adapter.poll(handle))) is GoneError
    assert type(failure(lambda: adapter.cancel(handle))) is GoneError
    fal.jobs.append(job)
    fal.script("status", says(404, HTML))
    assert type(failure(lambda: adapter.poll(handle))) is ServerError
    fal.results_expired = True
    fal.finish(job)
    assert type(failure(lambda: adapter.poll(handle))) is GoneError


@pytest.mark.parametrize(
    ("answer", "cancelled"),
    [(200, Cancelled.REMOVED), (202, Cancelled.REQUESTED), (400, Cancelled.TOO_LATE)],
)
def test_what_becomes_of_a_wish_to_cancel(
    fal: FakeFal, adapter: FalAdapter, handle: Handle, answer: int, cancelled: Cancelled
) -> None:
    fal.cancel_answer = answer
    assert adapter.cancel(handle) is cancelled


def test_a_running_job_may_ignore_the_wish(fal: FakeFal, adapter: FalAdapter, handle: Handle) -> None:
    fal.ignores_cancel = True
    fal.move(only_job(fal), "IN_PROGRESS")
    assert adapter.cancel(handle) is Cancelled.REQUESTED
    assert adapter.poll(handle).phase is Phase.TRAINING
    assert ended(fal, adapter, handle).phase is Phase.AVAILABLE
    assert adapter.cancel(handle) is Cancelled.TOO_LATE


def test_the_log_is_whole_each_time_and_asked_for_alone(
    fal: FakeFal, adapter: FalAdapter, handle: Handle
) -> None:
    assert adapter.logs(handle) == []
    fal.move(only_job(fal), "IN_PROGRESS")
    adapter.poll(handle)
    assert "logs=1" not in fal.requests[-1].query
    for _ in range(2):
        lines = adapter.logs(handle)
        assert tuple(line.text for line in lines) == fal.log_lines
        assert lines[0].level == "stderr"
        assert lines[0].at
        assert lines[0].at.tzinfo


def test_a_log_shows_neither_colours_nor_what_signs_an_address(
    fal: FakeFal, adapter: FalAdapter, handle: Handle
) -> None:
    fal.move(only_job(fal), "IN_PROGRESS")
    only_job(fal).logs = entries(
        "\x1b[32mReading https://x.example/a.zip?identity=c2VjcmV0\x1b[0m\r", f"as {fal.key}", "", None, 7
    )
    texts = [line.text for line in adapter.logs(handle)]
    assert texts == ["Reading https://x.example/a.zip", "as (the API key)", "7"]


def entries(*messages: Any) -> Any:
    return [{"message": message, "timestamp": "yesterday"} for message in messages]


def test_the_reason_of_a_failure_shows_no_signed_address(
    fal: FakeFal, adapter: FalAdapter, handle: Handle
) -> None:
    address = only_job(fal).dataset
    assert "?" in address
    fal.fail(only_job(fal), Failure(500, f"Cannot read {address} with {fal.key}", ""))
    error = adapter.poll(handle).error
    assert address not in error
    assert fal.key not in error
