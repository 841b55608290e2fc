"""Trainings asked for over HTTP, and a look at the processes behind them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import requests
from safetensors.torch import load
from torch import Tensor

from tests.engine.calling import TIMEOUT, call, details, download_url, started, upload, zipped
from tests.running import RunningEngine
from tests.train.training import WORDS, turned_colours

PATIENCE = 600.0  # seconds: a start of PyTorch takes its time on a busy machine
TRAINING = {
    "learning_rate": 0.01,
    "steps": 24,
    "rank": 4,
    "warmup_steps": 2,
    "checkpoint_steps": 4,
    "sample_steps": 12,
}

T = TypeVar("T")


def until(what: Callable[[], T | None]) -> T:
    """Ask again until there is an answer, now and then: what trains needs the machine."""
    latest = time.monotonic() + PATIENCE
    while not (value := what()):
        assert time.monotonic() < latest, "it did not come in time"
        time.sleep(0.1)
    return value


def begun(
    engine: RunningEngine,
    files: dict[str, bytes] | None = None,
    *,
    fields: Mapping[str, Any] | None = None,
    **advanced: Any,
) -> str:
    """Upload a dataset and start a training of it; the job's id. `fields` are of the submit."""
    source = upload(engine, zipped(files or turned_colours(4)))
    return started(
        engine,
        data_source_path=source,
        instance_prompt=WORDS,
        advance_parameters={**TRAINING, **advanced},
        **(fields or {}),
    )


def ended(engine: RunningEngine, job: str, state: str = "AVAILABLE") -> dict[str, Any]:
    """The details of the job at its end, which must be this one."""

    def look() -> dict[str, Any] | None:
        job_details = details(engine, job)
        return job_details if job_details["status"] in ("AVAILABLE", "FAILED") else None

    job_details = until(look)
    assert job_details["status"] == state, (job_details["error_message"], engine.log)
    return job_details


def weights(engine: RunningEngine, job_details: dict[str, Any]) -> bytes:
    return requests.get(download_url(engine, job_details["cloud_storage_url"]), timeout=TIMEOUT).content


def tensors(engine: RunningEngine, job_details: dict[str, Any]) -> dict[str, Tensor]:
    return load(weights(engine, job_details))


def progress(engine: RunningEngine, job: str) -> dict[str, Any]:
    answer = call(engine, "GET", "/extra/progress", params={"finetune_id": job})
    assert answer.status_code == 200, answer.text
    return answer.json()


def at_step(engine: RunningEngine, job: str, step: int) -> int:
    """Wait until so many steps are done; how many there are then."""

    def look() -> int | None:
        training = progress(engine, job)
        assert training["status"] != "FAILED", (details(engine, job)["error_message"], engine.log)
        done: int = training["step"] or 0
        return done if done >= step else None

    return until(look)


def progress_file(engine: RunningEngine, job: str) -> Path:
    return engine.data_dir / "engine" / "storage" / "trainings" / job / "progress.jsonl"


def events(engine: RunningEngine, job: str, kind: str) -> list[dict[str, Any]]:
    """Those of one kind that the engine wrote down. A line that it was killed in the middle of is none."""
    path, parsed = progress_file(engine, job), []
    for line in path.read_text().splitlines() if path.exists() else []:
        with suppress(ValueError):
            parsed.append(json.loads(line))
    return [event for event in parsed if event.get("event") == kind]


def children(engine: RunningEngine, job: str) -> list[int]:
    """The processes that train this job."""
    folder = str(engine.data_dir / "engine" / "storage" / "trainings" / job)
    pids = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if folder in path.read_text().split("\0"):
                pids.append(int(path.parent.name))
    return pids


def child(engine: RunningEngine, job: str, *, after: int = 0) -> int:
    """The process that trains this job, once there is one, and not the one before."""
    return until(lambda: next((each for each in children(engine, job) if each != after), None))
