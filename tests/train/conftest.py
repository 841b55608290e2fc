"""The tests of real training need requirements-train.txt (`make test-train`); elsewhere they are left out.

Starting a process with PyTorch takes longer than most trainings here, so the tests share one engine, one
finished training and one portal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.e2e.conftest import Portal, browser, visitor
from tests.e2e.whole.conftest import ada, page, signed_in
from tests.running import RunningEngine, start_engine

__all__ = ["ada", "browser", "page", "signed_in", "visitor"]

# Threads that spin while they wait make each other slow on a machine that does other things, too.
ONE_CORE = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
os.environ.update(ONE_CORE)  # before torch is imported

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]
collect_ignore = [] if find_spec("ray") else ["test_ray.py"]
if find_spec("torch"):
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus

    from tests.train.jobs import begun, ended
    from tests.train.models import random_klein, random_model, random_qwen


@pytest.fixture(scope="session", autouse=True)
def room_lock(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let fixtures train in this process, as an engine's child does that takes room on its disk."""
    settings.ROOM_LOCK = tmp_path_factory.mktemp("room") / "room.lock"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole FLUX.1-Kontext in the tiny configuration, with random weights."""
    return random_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def klein(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole FLUX.2 klein in the tiny configuration, with random weights."""
    return random_klein(tmp_path_factory.mktemp("klein"))


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A whole Qwen-Image-Edit in the tiny configuration, which sees small input images in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edit_plus, "VAE_IMAGE_SIZE", 96 * 96)
        patch.setattr(edit_plus, "CONDITION_IMAGE_SIZE", 64 * 64)
        yield random_qwen(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="session")
def trainer(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """An engine that really trains, on one core of the CPU: one slot."""
    folder = tmp_path_factory.mktemp("trainer")
    with start_engine(folder, KONTEXT_MODEL_DIR=str(model), **ONE_CORE) as running:
        yield running


@pytest.fixture(scope="session")
def job(trainer: RunningEngine) -> str:
    """A training that nothing disturbs; its id."""
    return begun(trainer)


@pytest.fixture(scope="session")
def done(trainer: RunningEngine, job: str) -> dict[str, Any]:
    """The details of that training at its end."""
    return ended(trainer, job)


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal whose engine really trains, with a model of its own."""
    folder = tmp_path_factory.mktemp("portal")
    running = Portal(folder / "data")
    try:
        own_model = random_model(folder / "model")
        running.start(KONTEXT_MODEL_DIR=str(own_model), PORTAL_TOKEN_CALLS="100000", **ONE_CORE)
        yield running
    finally:
        running.stop()
