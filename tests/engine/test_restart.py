"""The engine may end at any moment: what was accepted goes on after a restart."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
import requests

from tests.conftest import StartEngine
from tests.engine.calling import TIMEOUT, call, details, download_url, presigned, reached, started
from tests.running import ROOT, RunningEngine
from tests.waiting import until

STATES = [
    "REQUESTED",
    "DATA_PROCESSING",
    "TRAINING_INITIATED",
    "TRAINING_COMPLETED",
    "INFERENCE_QUEUED",
    "DEPLOYING",
    "AVAILABLE",
]


@pytest.mark.parametrize(
    "end", [pytest.param(RunningEngine.stop, marks=pytest.mark.slow), RunningEngine.kill]
)
def test_a_restart_in_every_state_loses_nothing(engines: StartEngine, end: object) -> None:
    assert callable(end)
    engine = engines(ENGINE_TIME_SCALE="0.06")
    job_id = started(engine)
    for number in range(len(STATES)):
        onwards = STATES[number:]  # a slow machine may miss one while the engine starts
        until(lambda onwards=onwards: details(engine, job_id)["status"] in onwards)
        end(engine)
        engine.start()
        assert details(engine, job_id)["status"] in onwards
    job = reached(engine, job_id, "AVAILABLE")
    assert requests.get(download_url(engine, job["cloud_storage_url"]), timeout=TIMEOUT).ok
    assert len(call(engine, "GET", "/finetune/request/list").json()) == 1
    assert call(engine, "GET", "/v1/get-user-credits").json()["credits"] == 999.25


@pytest.mark.parametrize("state", ["DATA_PROCESSING", "TRAINING_INITIATED"])
def test_a_job_fails_whose_base_model_is_gone_after_the_restart(engines: StartEngine, state: str) -> None:
    engine = engines()
    job_id = started(engine, "hats slow")
    engine.kill()
    with closing(sqlite3.connect(engine.data_dir / "engine" / "engine.sqlite3")) as database, database:
        database.execute("UPDATE engine_job SET state = ?, base_model = 'flux-2-klein'", [state])
    engine.start()
    assert "has no flux-2-klein any more" in reached(engine, job_id, "FAILED")["error_message"]


def test_a_kill_in_the_middle_of_an_upload_leaves_no_half(engines: StartEngine) -> None:
    engine = engines()
    urls = presigned(engine)
    target = urls["presigned_url"].removeprefix(engine.url)
    folder = engine.data_dir / "engine" / "storage" / "uploads" / "local"
    with socket.create_connection(("127.0.0.1", engine.port), timeout=TIMEOUT) as line:
        line.sendall(f"PUT {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n".encode())
        line.sendall(b"x" * 2_000_000)
        until(lambda: folder.is_dir() and any(draft.stat().st_size for draft in folder.iterdir()))
        engine.kill()
    engine.start()
    assert list(folder.iterdir()) == []
    assert requests.put(urls["presigned_url"], data=b"whole", timeout=TIMEOUT).ok  # the URL still holds


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_time_and_cleanly(engines: StartEngine, with_signal: signal.Signals) -> None:
    engine = engines(ENGINE_TIME_SCALE="1")
    started(engine)
    process = engine.process
    assert process
    engine.stop(with_signal=with_signal)
    assert process.returncode == 0
    assert "Traceback" not in engine.log


def test_one_engine_per_folder(engines: StartEngine) -> None:
    engine = engines()
    environment = {**engine.environment, "ENGINE_PORT": "1"}
    command = [sys.executable, "-m", "finetune_portal.engine"]
    second = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert "Another engine is at work" in second.stderr


def test_the_key_is_made_once_when_none_is_given(engines: StartEngine) -> None:
    engine = engines(ENGINE_API_KEY="")
    path = engine.data_dir / "engine" / "api-key"
    key = path.read_text().strip()
    assert path.stat().st_mode & 0o077 == 0
    engine.stop()
    engine.start()
    answer = requests.get(f"{engine.url}/v1/get-user-credits", headers={"x-api-key": key}, timeout=TIMEOUT)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ENGINE_TIME_SCALE", "fast", "ENGINE_TIME_SCALE must be a number"),
        ("ENGINE_PORT", "none", "ENGINE_PORT must be a whole number"),
        ("ENGINE_FETCH_ALLOW", "10.0.0.0/99", "ENGINE_FETCH_ALLOW must be a list of networks"),
    ],
)
def test_a_bad_setting_stops_the_start(engine: RunningEngine, name: str, value: str, says: str) -> None:
    environment = {**engine.environment, name: value}
    command = [sys.executable, "-m", "finetune_portal.engine", "check"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert says in done.stderr


def test_the_migrations_are_complete(engine: RunningEngine) -> None:
    command = [sys.executable, "-m", "finetune_portal.engine", "makemigrations", "--check", "--dry-run"]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(engine.environment), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
