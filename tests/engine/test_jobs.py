"""A job's way through its states, the weights at its end, and the scenarios to try."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from safetensors.numpy import load

from tests.conftest import StartEngine
from tests.engine.calling import (
    EVENTS,
    TIMEOUT,
    body,
    call,
    details,
    download_url,
    pairs,
    reached,
    started,
    submit,
    upload,
    zipped,
)
from tests.engine.sink import listening
from tests.running import RunningEngine
from tests.waiting import until

NOWHERE = "http://192.0.2.1/dataset.zip"


def test_its_states_follow_in_order(engine: RunningEngine) -> None:
    """Looked at from outside a state can be missed; tests/engine/test_webhooks.py receives each one."""
    job_id = started(engine)
    seen: list[str] = []

    def look() -> bool:
        state = details(engine, job_id)["status"]
        if state not in seen[-1:]:
            seen.append(state)
        return state == "AVAILABLE"

    until(look)
    assert seen == [state for state in ("REQUESTED", *EVENTS) if state in seen]


def test_the_weights_are_a_lora_that_says_it_is_simulated(engine: RunningEngine) -> None:
    job = reached(engine, started(engine, "hats", data_source_path=upload(engine)), "AVAILABLE")
    content = requests.get(download_url(engine, job["cloud_storage_url"]), timeout=TIMEOUT).content
    assert len(load(content)) == 152
    assert b'"simulated":"true"' in content[:1000]
    assert job["model_information"]["pairs"] == 2


def test_many_jobs_at_once(engine: RunningEngine) -> None:
    source = upload(engine)
    jobs = [started(engine, f"job {number}", data_source_path=source) for number in range(12)]
    for job in jobs:
        reached(engine, job, "AVAILABLE")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not a zip at all", "not a ZIP"),
        (zipped({}), "no image pairs"),
        (zipped(pairs() | {"03_start.png": pairs()["01_start.png"]}), "03_start.png has no partner"),
        (zipped(pairs() | {"01_end.png": b"<html>"}), "01_end.png is not a readable"),
    ],
)
def test_a_broken_dataset_fails_in_words(engine: RunningEngine, content: bytes, says: str) -> None:
    job = reached(engine, started(engine, data_source_path=upload(engine, content)), "FAILED")
    assert says in job["error_message"]
    assert job["cloud_storage_url"] is None


def test_a_dataset_that_was_never_uploaded(engine: RunningEngine) -> None:
    urls = call(engine, "GET", "/finetune/request/upload/pre-signed-url", json={"name": "a"}).json()
    job = reached(engine, started(engine, data_source_path=urls["s3_url"]), "FAILED")
    assert "Nothing was uploaded" in job["error_message"]


def test_no_caption_and_no_prompt(engine: RunningEngine) -> None:
    source = upload(engine, zipped(pairs(caption=None)))
    job = reached(engine, started(engine, data_source_path=source, instance_prompt=None), "FAILED")
    assert "no caption" in job["error_message"]
    reached(engine, started(engine, data_source_path=source), "AVAILABLE")


def test_fail_training(engine: RunningEngine) -> None:
    job = reached(engine, started(engine, "Please fail_training, now"), "FAILED")
    assert "fail-training" in job["error_message"]


def test_fail_data(engine: RunningEngine) -> None:
    job = reached(engine, started(engine, "fail-data", data_source_path=NOWHERE), "FAILED")
    assert "fail-data" in job["error_message"]


def test_never_deploys_has_weights(engine: RunningEngine) -> None:
    job_id = started(engine, "never-deploys")
    other = started(engine, "as usual")
    reached(engine, other, "AVAILABLE")
    job = reached(engine, job_id, "TRAINING_COMPLETED")
    assert requests.head(download_url(engine, job["cloud_storage_url"]), timeout=TIMEOUT).ok


def test_no_weights(engine: RunningEngine) -> None:
    assert reached(engine, started(engine, "no-weights"), "AVAILABLE")["cloud_storage_url"] is None


def test_odd_state(engines: StartEngine) -> None:
    with listening() as sink:
        engine = engines(ENGINE_WEBHOOK_URL=sink.url)
        started(engine, "odd-state")
        until(lambda: "AVAILABLE" in sink.statuses)
    odd = sink.statuses.index("CALIBRATING")
    assert [*sink.statuses[:odd], *sink.statuses[odd + 1 :]] == EVENTS


@pytest.mark.parametrize(("word", "status"), [("refuse-credits", 406), ("refuse-closed", 410)])
def test_refusals(engine: RunningEngine, word: str, status: int) -> None:
    answer = submit(engine, body(NOWHERE, f"try {word}"))
    assert answer.status_code == status
    assert answer.json()["error"]
    assert not _listed(engine, f"try {word}")


def test_busy_lets_the_third_through(engine: RunningEngine) -> None:
    answers = [submit(engine, body(NOWHERE, "busy street")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "1"


def test_lost_answer_has_the_job(engine: RunningEngine) -> None:
    answer = submit(engine, body(NOWHERE, "lost-answer"))
    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith("text/html")
    assert len(_listed(engine, "lost-answer")) == 1


def test_slow_is_slow(engines: StartEngine) -> None:
    with listening() as sink:
        engine = engines(ENGINE_WEBHOOK_URL=sink.url)
        slow, usual = started(engine, "a slow one"), started(engine, "slowly")  # only the whole word counts
        reached(engine, usual, "AVAILABLE")
        until(lambda: "TRAINING_COMPLETED" in sink.statuses_of(slow))
    received = [(event["finetune_id"], event["status"]) for event in sink.events]
    assert received.index((usual, "AVAILABLE")) < received.index((slow, "TRAINING_COMPLETED"))


def _listed(engine: RunningEngine, name: str) -> list[dict[str, Any]]:
    return [item for item in call(engine, "GET", "/finetune/request/list").json() if item["name"] == name]
