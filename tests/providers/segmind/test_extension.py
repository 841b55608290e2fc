"""The extension under /extra: what an engine tells is taken as meant; whatever is odd there can nothing."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from finetune_portal.providers.errors import InvalidResponseError, UnauthorizedError, UnreachableError
from finetune_portal.providers.segmind import Progress, SegmindClient
from tests.engine.calling import call, reached, started
from tests.ports import closed_port
from tests.provider import KEY, PICTURE, Answer, ScriptedProvider, endless, says
from tests.running import RunningEngine
from tests.waiting import until

NOTHING = Progress(None, None, None, None, None, [], [], [], False, [], "", [])


@pytest.mark.parametrize(
    "answer",
    [
        Answer(),  # by itself the fake is the vendor: 404
        says(200, b"<!doctype html><title>Segmind</title>"),
        says(200, [1]),
        says(200, {"version": 2, "can": ["progress"]}),
        says(200, {"version": 1, "can": "progress"}),
        says(200, {"version": 1, "can": {"progress": True}}),
        says(200, {"version": 1, "can": [None, 7.5e99, [], {}]}),
        says(301, b"", Location="https://elsewhere.example/"),
        says(403, {"error": "No"}),
        says(500, b""),
        endless(),
    ],
    ids=lambda answer: f"{answer.status} {(answer.body or b'')[:30]!r}",
)
def test_whatever_is_odd_can_nothing(
    provider: ScriptedProvider, client: SegmindClient, answer: Answer
) -> None:
    provider.script("extra", answer)
    assert not client.extension.capabilities().can & {"progress", "losses", "samples", "cancel"}


def test_a_key_that_is_refused_and_a_closed_door_say_nothing_of_abilities(provider: ScriptedProvider) -> None:
    with closing(SegmindClient(provider.url, "another")) as stranger, pytest.raises(UnauthorizedError):
        stranger.extension.capabilities()
    with (
        closing(SegmindClient(f"http://127.0.0.1:{closed_port()}", KEY)) as lost,
        pytest.raises(UnreachableError),
    ):
        lost.extension.capabilities()


@pytest.mark.parametrize(
    ("payload", "progress"),
    [
        ({}, NOTHING),
        ({"percent": 101, "step": -1, "ahead": "no", "seconds_left": -5, "memory_bytes": 1e30}, NOTHING),
        ({"loss": 7, "held_out": [1], "samples": "all"}, NOTHING),
        (
            {"loss": [[1], [1, 2, 3], ["x", 1], [2, None], [3, True], "ab"], "samples": [None, "x", -1]},
            NOTHING,
        ),
    ],
)
def test_what_makes_no_sense_is_not_told(
    provider: ScriptedProvider, client: SegmindClient, payload: Any, progress: Progress
) -> None:
    provider.script("progress", says(200, payload))
    assert client.extension.progress("job") == progress


def test_curves_come_by_step_each_once_and_not_longer_than_a_page_can_show(
    provider: ScriptedProvider, client: SegmindClient
) -> None:
    backwards = [[step, step / 2] for step in range(5000, 0, -1)]
    fields = {"loss": [*backwards, ["7", "0.25"]], "held_out": {"trained_on": True}}
    fields["held_out"] |= {"loss": [[9, 1], [0, 2]], "weighted_loss": [[9, 3], [0, 4]]}
    provider.script("progress", says(200, fields | {"samples": [50, 0, 50, "25"]}))
    progress = client.extension.progress("job")
    steps = [step for step, _ in progress.losses]
    assert steps == sorted(set(steps))
    assert len(steps) <= 1000
    assert progress.losses[-1] == (5000, 2500.0)
    assert progress.held_out_weighted == [(0, 4.0), (9, 3.0)]
    assert (progress.held_out, progress.held_out_is_trained) == ([(0, 2.0), (9, 1.0)], True)
    assert progress.samples == [0, 25, 50]


def test_only_a_png_is_a_picture_and_not_a_large_one(
    provider: ScriptedProvider, client: SegmindClient
) -> None:
    provider.can = ("samples",)
    assert client.extension.picture("job", "50") == client.extension.picture("job", "control") == PICTURE
    queries = [request.query for request in provider.sent("sample")]
    assert queries == ["request_id=job&step=50", "request_id=job&of=control"]
    for odd in (says(200, b"<svg onload=alert(1)>"), says(200, b""), endless(body=PICTURE * 1000)):
        provider.script("sample", odd)
        with pytest.raises(InvalidResponseError):
            client.extension.picture("job", "50")


def test_it_tells_of_a_simulated_training_and_ends_it(engine: RunningEngine) -> None:
    """The real engine: it tells percent, has no losses to tell, and cancels."""
    job = started(engine, "Hats slow", advance_parameters={"steps": 20_000, "learning_rate": 0.0001})
    reached(engine, job, "TRAINING_INITIATED")
    with closing(SegmindClient(engine.url, engine.key)) as client:
        assert client.extension.capabilities().can >= {"progress", "cancel"}
        assert not client.extension.capabilities().can & {"losses", "samples"}
        first = client.extension.progress(job)
        assert first.percent is not None
        assert (first.ahead, first.losses, first.held_out, first.samples) == (0, [], [], [])
        until(lambda: (client.extension.progress(job).percent or 0) > (first.percent or 0))
        assert client.extension.cancel(job)
        assert reached(engine, job, "FAILED")["error_message"] == "Cancelled."
        assert not client.extension.cancel(job)
        assert not client.extension.cancel("no-such-job")


def test_none_of_the_vendors_calls_looks_other_for_it(engine: RunningEngine) -> None:
    for path in ("/extra", "/extra/progress", "/extra/sample", "/extra/cancel", "/extra/delete"):
        assert call(engine, "GET", path, headers={"x-api-key": "wrong"}).status_code == 401
