"""`python -m finetune_portal.engine models` says what each folder holds, or what it lacks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from finetune_portal.engine.trainers import model_folder
from tests import databases
from tests.running import ROOT

TINY = ROOT / "finetune_portal" / "engine" / "trainers" / "tiny" / "model"


def models(data: Path, **own: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "finetune_portal.engine", "models"],
        cwd=ROOT,
        env={**databases.variables_of(data), "KONTEXT_MODEL_DIR": "", **own},
        capture_output=True,
        text=True,
        timeout=60,
    )


def klein(folder: Path, *, heads: int = 24, **index: object) -> Path:
    """A folder in the layout of FLUX.2 klein, with one number as the weights of each part."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    weights = len(header).to_bytes(8, "little") + header + bytes(4)
    config = {"transformer": {"num_attention_heads": heads, "attention_head_dim": 128}}
    for part, stem in (
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
        ("transformer", "diffusion_pytorch_model"),
    ):
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps(config.get(part, {})))
        (folder / part / f"{stem}.safetensors").write_bytes(weights)
    for path in (
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/tokenizer.json",
    ):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("{}")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "Flux2KleinPipeline", **index}))
    return folder


def test_each_folder_is_listed_with_bytes_and_licence(tmp_path: Path) -> None:
    folders = f"{klein(tmp_path / 'FLUX.2-klein-base-4B')}, {klein(tmp_path / 'nine', heads=32)}"
    ended = models(tmp_path / "data", KONTEXT_MODEL_DIR=str(TINY), MODEL_DIRS=folders)
    assert ended.returncode == 0, ended.stderr
    first, second, third = ended.stdout.splitlines()
    assert "FLUX.1 Kontext, tiny (finetune-portal/tiny-kontext), 0.006" in first
    assert first.startswith(f"KONTEXT_MODEL_DIR: {TINY} holds ")
    assert "FLUX.2 klein 4B base (FLUX.2-klein-base-4B), " in second
    assert second.endswith(" GB, Apache License 2.0.")
    assert third.endswith(" GB, FLUX Non-Commercial License.")


def test_what_is_missing_is_said_of_each_folder(tmp_path: Path) -> None:
    harmed = klein(tmp_path / "klein")
    shutil.rmtree(harmed / "tokenizer")
    ended = models(tmp_path / "data", MODEL_DIRS=f"{harmed}, {TINY}, {tmp_path / 'nowhere'}")
    assert ended.returncode == 1
    first, second, third = ended.stdout.splitlines()
    assert first == f"MODEL_DIRS: {harmed} has no folder tokenizer."
    assert "FLUX.1 Kontext, tiny" in second
    assert third == f"MODEL_DIRS: There is no folder {tmp_path / 'nowhere'}."


def test_two_folders_with_the_same_base_model_are_named(tmp_path: Path) -> None:
    one, other = klein(tmp_path / "one"), klein(tmp_path / "other")
    ended = models(tmp_path / "data", MODEL_DIRS=f"{one}, {other}")
    assert ended.returncode == 1
    assert f"MODEL_DIRS: {one} and {other} both hold FLUX.2 klein 4B base." in ended.stdout.splitlines()


def test_without_folders_it_says_so(tmp_path: Path) -> None:
    assert models(tmp_path).stdout.startswith("Neither KONTEXT_MODEL_DIR nor MODEL_DIRS names a folder")


def test_the_distilled_model_is_not_trained(tmp_path: Path) -> None:
    with pytest.raises(
        model_folder.ModelFolderError, match="a distilled model.*FLUX.2-klein-base-4B --local"
    ):
        model_folder.inspect(klein(tmp_path / "klein", is_distilled=True))


def test_klein_lacks_what_its_transformer_has_nothing_of(tmp_path: Path) -> None:
    parameters = model_folder.inspect(klein(tmp_path / "klein")).parameters
    assert not {"guidance", "modulation"} & parameters.keys()
    assert parameters["timestep_sampling"].default == "uniform"
