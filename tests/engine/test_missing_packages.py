"""Without requirements-train.txt the engine simulates; asked to train, it says what is missing."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from finetune_portal.engine.trainers import packages
from tests import databases, prepared
from tests.ports import free_port
from tests.running import ROOT

TINY = ROOT / "finetune_portal" / "engine" / "trainers" / "tiny" / "model"
MISSING = [name for name in packages.TRAINING if find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    not MISSING or bool(find_spec("ray")), reason="the packages of requirements-train.txt are here"
)


def run(data: Path, *command: str, **own: str) -> subprocess.CompletedProcess[str]:
    ports = {"PORT": str(free_port()), "ENGINE_PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**databases.variables_of(data), **ports, **own},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_without_a_model_to_train_nothing_is_missing(tmp_path: Path) -> None:
    ended = run(tmp_path, "-m", "finetune_portal.engine", "trainer", KONTEXT_MODEL_DIR="")
    assert ended.stdout == "It only simulates.\n"


@pytest.mark.parametrize(
    ("command", "cluster"),
    [(("-m", "finetune_portal.engine"), ""), (("manage.py", "up"), "127.0.0.1:1")],
    ids=["engine", "up-with-ray"],
)
def test_with_one_the_start_says_what_to_install(
    tmp_path: Path, command: tuple[str, ...], cluster: str
) -> None:
    """`up` asks the engine: what it says of one cluster is what the engine says of it."""
    prepared.lay_out(tmp_path)
    ended = run(tmp_path, *command, KONTEXT_MODEL_DIR=str(TINY), RAY_ADDRESS=cluster)
    names = ["ray"] if cluster else MISSING  # on Ray the nodes need the rest
    pip = Path(sys.prefix) / "bin" / "pip"
    pip = pip.relative_to(ROOT) if pip.is_relative_to(ROOT) else pip
    assert ended.returncode == 1
    assert ended.stderr == (
        f"CommandError: {'RAY_ADDRESS' if cluster else 'KONTEXT_MODEL_DIR'} is set, but {', '.join(names)} "
        f"{'is' if len(names) == 1 else 'are'} not installed. "
        f"Run: {pip} install -r requirements-train.txt\n"
    )
