"""A training that release 35ee960 left half done goes on from its checkpoint (see tests/upgrade)."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import torch

from tests.running import ROOT, start_engine
from tests.train import jobs
from tests.upgrade.conftest import RELEASE

TINY = ROOT / "finetune_portal" / "engine" / "trainers" / "tiny" / "model"


def test_a_training_goes_on_from_the_checkpoint_of_an_older_release(tmp_path: Path) -> None:
    job, known = lay_out(tmp_path)
    own = {"KONTEXT_MODEL_DIR": str(TINY), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    with start_engine(tmp_path, **own) as engine:
        trained = jobs.ended(engine, job)
        assert [event["step"] for event in jobs.events(engine, job, "started")] == [0, 10]
        assert jobs.tensors(engine, trained)
        progress = jobs.progress(engine, job)
    losses = dict(progress["loss"])
    assert sorted(losses) == list(range(1, 41))
    assert {step: losses[step] for step in known} == known
    assert progress["samples"] == [0, 10, 20, 30, 40]


def lay_out(folder: Path) -> tuple[str, dict[int, float]]:
    """Lay the engine's data into the folder; return the job and its losses so far."""
    data = folder / "engine"
    with tarfile.open(RELEASE / "training.tar.gz") as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # from Python 3.11.4 on
        tar.extractall(data)
    with closing(sqlite3.connect(data / "engine.sqlite3")) as database:
        database.executescript((RELEASE / "training.sql").read_text(encoding="utf-8"))
    (work,) = (data / "storage" / "trainings").iterdir()
    checkpoint = torch.load(work / "checkpoint.pt", weights_only=True)
    request = json.dumps(checkpoint["request"]).replace("DATA", str(folder)).replace("MODEL", str(TINY))
    torch.save({**checkpoint, "request": json.loads(request)}, work / "checkpoint.pt")
    events = map(json.loads, (work / "progress.jsonl").read_text().splitlines())
    return work.name, {each["step"]: each["loss"] for each in events if each["event"] == "step"}
