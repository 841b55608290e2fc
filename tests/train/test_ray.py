"""Trainings on a Ray cluster of two workers: a lost node or engine costs none, and each can be cancelled."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import StartEngine
from tests.engine.calling import call, pairs, started, upload, zipped
from tests.running import ROOT, RunningEngine
from tests.train.jobs import ended, events, progress
from tests.waiting import until

STEPS = 100
SMALL = {
    "steps": STEPS,
    "learning_rate": 0.001,
    "resolution": 32,
    "rank": 2,
    "checkpoint_steps": 5,
    "sample_steps": STEPS,
}
PATIENCE = 900.0  # on a machine that does other things, too


@dataclass
class Nodes:
    process: subprocess.Popen[str]
    environment: dict[str, str]
    scratch: Path

    def do(self, line: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == f"{line}\n"

    def folders(self) -> list[Path]:
        return list(self.scratch.glob("finetune-portal-*"))

    def open_to_others(self) -> list[str]:
        """The files of trainings that the group or others may read, write or find."""
        names = []
        for path in [path for folder in self.folders() for path in (folder, *folder.rglob("*"))]:
            with suppress(FileNotFoundError):  # it was sent, or got its name
                names += [path.name] if path.stat().st_mode & 0o077 else []
        return names

    def are_idle(self) -> bool:
        """Whether no process was started with a folder in here."""
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                lines.append(path.read_bytes())
        return not any(str(self.scratch).encode() in line for line in lines)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    scratch = tmp_path_factory.mktemp("scratch")
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:  # a short path: it holds sockets
        ray = {"RAY_TMPDIR": folder, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
        with subprocess.Popen(
            [sys.executable, "-m", "tests.train.ray_nodes"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(scratch), **ray},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            address = process.stdout.readline().strip()
            nodes = Nodes(process, {**ray, "RAY_ADDRESS": address}, scratch)
            nodes.do("add")
            nodes.do("add")
            yield nodes


def begun(engine: RunningEngine) -> str:
    dataset = upload(engine, zipped(pairs(3)))
    return started(engine, data_source_path=dataset, advance_parameters=SMALL)


def test_a_lost_node_costs_no_training(engines: StartEngine, nodes: Nodes, model: Path) -> None:
    engine = engines(KONTEXT_MODEL_DIR=str(model), **nodes.environment)
    assert call(engine, "GET", "/extra").json()["places"] == 2
    jobs = [begun(engine), begun(engine)]
    until(lambda: all(events(engine, job, "checkpoint") for job in jobs), seconds=PATIENCE)
    nodes.do("kill")
    for job in jobs:
        ended(engine, job)
    (hit,) = [job for job in jobs if events(engine, job, "died")]
    first, *others = events(engine, hit, "started")
    assert first["step"] == 0
    assert all(other["step"] >= SMALL["checkpoint_steps"] for other in others)
    assert others
    for job in jobs:
        assert events(engine, job, "done")[-1]["step"] == STEPS
        assert [step for step, _loss in progress(engine, job)["loss"]] == [*range(1, STEPS + 1)]
        assert [step for step, _loss in progress(engine, job)["held_out"]["loss"]] == [0, STEPS]
        assert progress(engine, job)["samples"] == [0, STEPS]


def test_the_engine_is_killed_and_the_training_cancelled(
    engines: StartEngine, nodes: Nodes, model: Path
) -> None:
    engine = engines(KONTEXT_MODEL_DIR=str(model), **nodes.environment)
    job = begun(engine)
    until(lambda: events(engine, job, "checkpoint"), seconds=PATIENCE)
    assert nodes.open_to_others() == []
    engine.kill()
    until(nodes.are_idle, seconds=PATIENCE)  # nothing trains on for nobody
    engine.start()
    until(lambda: len(events(engine, job, "started")) == 2, seconds=PATIENCE)
    assert events(engine, job, "started")[1]["step"] >= SMALL["checkpoint_steps"]
    until(lambda: len(nodes.folders()) == 1, seconds=PATIENCE)  # what the killed one left goes
    assert call(engine, "POST", "/extra/cancel", json={"finetune_id": job}).ok
    assert ended(engine, job, "FAILED")["error_message"] == "Cancelled."
    until(nodes.are_idle, seconds=PATIENCE)


def refused(data: Path, model: Path, **environment: str) -> str:
    """What the engine says that does not start."""
    own = {"PATH": os.environ["PATH"], "DATA_DIR": str(data), "KONTEXT_MODEL_DIR": str(model)}
    ended = subprocess.run(
        [sys.executable, "-m", "finetune_portal.engine"],
        cwd=ROOT,
        env={**own, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 1
    return ended.stderr


def test_a_cluster_that_does_not_answer_stops_the_start(tmp_path: Path, model: Path) -> None:
    for address in ("127.0.0.1:1", "auto", "ray://127.0.0.1:1"):
        error = f"CommandError: RAY_ADDRESS: No Ray cluster answers at {address}. "
        says = f"{error}It must be the head's host:port, such as 10.0.0.5:6379.\n"
        assert refused(tmp_path, model, RAY_ADDRESS=address) == says


def test_a_cluster_without_a_gpu_stops_the_start(tmp_path: Path, model: Path, nodes: Nodes) -> None:
    large = Path(shutil.copytree(model, tmp_path / "model"))
    config = large / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_attention_heads": 24 * 128}))
    assert "No node of the Ray cluster has a GPU." in refused(tmp_path, large, **nodes.environment)
