"""Make the half-done training of release 35ee960 that `tests/train/test_upgrade.py` ends. Run it once.

    cd ../old && python -m venv .venv-train
    .venv-train/bin/python -m pip install -r requirements-dev.txt -r requirements-train.txt
    .venv-train/bin/python ../portal/tests/upgrade/make_training.py

The engine trains the tiny model on the CPU and is killed after a checkpoint. `35ee960/training.sql` is its
database, `35ee960/training.tar.gz` its storage. Paths in them begin with DATA and MODEL.
"""

# ruff: noqa: I001 - the order would follow which modules of that release are still here

from __future__ import annotations

import json
import os
import sqlite3.dump  # now: the settings put another sqlite3 in its place, which has none
import sys
import tempfile
from pathlib import Path

sys.path[0:0] = [str(Path.cwd())]
os.environ["DJANGO_SETTINGS_MODULE"] = "finetune_portal.settings"

from make import OUT, packed, sqlite_dump  # noqa: E402
import torch  # noqa: E402
from tests.running import start_engine  # noqa: E402
from tests.train import jobs  # noqa: E402
from tests.train.training import turned_colours  # noqa: E402

assert sqlite3.dump
TINY = Path("finetune_portal/engine/trainers/tiny/model").resolve()
TRAINING = {"steps": 40, "checkpoint_steps": 5, "sample_steps": 10, "resolution": 64, "rank": 1}


def main() -> None:
    own = {"KONTEXT_MODEL_DIR": str(TINY), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder, start_engine(Path(folder), **own) as engine:
        job = jobs.begun(engine, turned_colours(4), **TRAINING)
        jobs.until(lambda: jobs.events(engine, job, "checkpoint")[1:])
        engine.kill()
        data = Path(folder) / "engine"
        forget_places(data / "storage" / "trainings" / job, {folder: "DATA", str(TINY): "MODEL"})
        (OUT / "training.sql").write_text(sqlite_dump(data / "engine.sqlite3"))
        (OUT / "training.tar.gz").write_bytes(packed(data))


def forget_places(work: Path, places: dict[str, str]) -> None:
    """A training goes on only from a checkpoint of its very request, and the request has two paths."""
    (work / "log.txt").unlink()
    request = work / "request.json"
    checkpoint = torch.load(work / "checkpoint.pt", weights_only=True)
    for place, name in places.items():
        request.write_text(request.read_text().replace(place, name))
    checkpoint["request"] = json.loads(request.read_text())
    torch.save(checkpoint, work / "checkpoint.pt")


if __name__ == "__main__":
    main()
