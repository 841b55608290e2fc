"""The engine says which model trains; a folder that cannot be trained stops its start with a sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import databases
from tests.running import ROOT, free_port

Harm = Callable[[Path], object]


def run(data: Path, model: object, *command: str) -> subprocess.CompletedProcess[str]:
    ports = {"PORT": str(free_port()), "ENGINE_PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**databases.variables_of(data), **ports, "KONTEXT_MODEL_DIR": str(model)},
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


def another_pipeline(model: Path) -> None:
    (model / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')


def half_a_download(model: Path) -> None:
    (model / "transformer" / "diffusion_pytorch_model.safetensors").unlink()


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (another_pipeline, "{} holds StableDiffusionPipeline, not FluxKontextPipeline."),
        (half_a_download, "{}/transformer has no .safetensors file: the download was not finished."),
        (lambda model: (model / "model_index.json").unlink(), "{}/model_index.json is missing."),
        (lambda model: (model / "vae" / "config.json").write_text("{"), "{}/vae/config.json is not JSON."),
        (lambda model: shutil.rmtree(model / "tokenizer_2"), "{} has no folder tokenizer_2."),
    ],
)
def test_an_incomplete_folder_is_named(tmp_path: Path, model: Path, harm: Harm, error: str) -> None:
    harmed = tmp_path / "model"
    shutil.copytree(model, harmed)
    harm(harmed)
    ended = run(tmp_path / "data", harmed, "-m", "finetune_portal.engine", "trainer")
    assert ended.returncode == 1
    assert ended.stderr == f"CommandError: KONTEXT_MODEL_DIR: {error.format(harmed)}\n"
