"""The tests of real training need requirements-train.txt (`make test-train`); elsewhere they are left out."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.e2e.conftest import browser
from tests.running import RunningEngine, start_engine

__all__ = ["browser"]

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]
collect_ignore = [] if find_spec("ray") else ["test_ray.py"]
if find_spec("torch"):
    from tests.train.models import random_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole FLUX.1-Kontext in the tiny configuration, with random numbers."""
    return random_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def trainer(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """An engine that really trains, on one core of the CPU: one place."""
    folder = tmp_path_factory.mktemp("trainer")
    own = {"KONTEXT_MODEL_DIR": str(model), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    with start_engine(folder, **own) as running:
        yield running
