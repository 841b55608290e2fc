"""The engine says which model trains; a folder that cannot be trained stops its start with a sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from finetune_portal.engine.trainers import packages
from finetune_portal.engine.trainers.families.family import MissingPackageError
from finetune_portal.engine.trainers.families.kontext import Kontext
from tests import databases
from tests.ports import free_port
from tests.running import ROOT


def run(data: Path, model: object, *command: str, **own: str) -> subprocess.CompletedProcess[str]:
    ports = {"PORT": str(free_port()), "ENGINE_PORT": str(free_port())}
    variables = {**databases.variables_of(data), **ports, "KONTEXT_MODEL_DIR": str(model), **own}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={name: value for name, value in variables.items() if name != "CUDA_VISIBLE_DEVICES"},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_it_says_which_model_trains(tmp_path: Path, model: Path) -> None:
    result = run(tmp_path, model, "-m", "finetune_portal.engine", "trainer")
    assert result.stdout == "It trains finetune-portal/tiny-kontext, a tiny model to see trainings work.\n"
    result = run(tmp_path, "", "-m", "finetune_portal.engine", "trainer")
    assert result.stdout == "It only simulates.\n"


@pytest.mark.parametrize("command", [("-m", "finetune_portal.engine"), ("manage.py", "up")])
def test_a_missing_folder_stops_the_start(tmp_path: Path, command: tuple[str, ...]) -> None:
    ended = run(tmp_path, tmp_path / "nowhere", *command)
    assert ended.returncode == 1
    assert ended.stderr == f"CommandError: KONTEXT_MODEL_DIR: There is no folder {tmp_path / 'nowhere'}.\n"


def harmed(model: Path, folder: Path, file: str, text: str) -> Path:
    shutil.copytree(model, folder)
    (folder / file).write_text(text)
    return folder


def test_an_incomplete_folder_is_named(tmp_path: Path, model: Path) -> None:
    """The other faults of a folder are in tests/engine/test_model_folder.py."""
    folder = harmed(model, tmp_path / "model", "vae/config.json", "{")
    ended = run(tmp_path / "data", folder, "-m", "finetune_portal.engine", "trainer")
    assert ended.returncode == 1
    assert ended.stderr == f"CommandError: KONTEXT_MODEL_DIR: {folder}/vae/config.json is not JSON.\n"


def test_a_full_model_without_cuda_stops_the_start(tmp_path: Path, model: Path) -> None:
    """The driver lists two GPUs, but PyTorch is the build for CPUs, or finds none of them."""
    folder = harmed(model, tmp_path / "full", "transformer/config.json", '{"num_attention_heads": 24}')
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.parent.mkdir()
    driver.write_text("#!/bin/sh\necho GPU-1\necho GPU-2\n")
    driver.chmod(0o755)
    path = {"PATH": f"{driver.parent}:{os.environ['PATH']}"}
    ended = run(tmp_path / "data", folder, "-m", "finetune_portal.engine", "trainer", **path)
    assert ended.returncode == 1
    assert f"full cannot be trained here. The driver sees 2 GPUs, PyTorch {torch.__version__} sees none." in (
        ended.stderr
    )


def test_a_missing_quantizer_is_named_before_the_dataset_is_encoded(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a large card that a job asks to save memory on."""
    card = SimpleNamespace(total_memory=80 * 1024**3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    for way, package in packages.QUANTIZERS.items():
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingPackageError, match=f"needs the package {package}"):
            Kontext(model, memory=way)
    assert Kontext(model, memory="full").memory == "full"
