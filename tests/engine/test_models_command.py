"""`python -m finetune_portal.engine models` says what each folder holds, or what it lacks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
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
    """A folder in the layout of FLUX.2 klein."""
    return whole(folder, {"num_attention_heads": heads}, {"_class_name": "Flux2KleinPipeline", **index})


def qwen(folder: Path, **transformer: object) -> Path:
    """A folder in the layout of Qwen-Image-Edit-2509, or as the switches of the transformer say."""
    whole(folder, transformer, {"_class_name": "QwenImageEditPlusPipeline"})
    (folder / "processor").mkdir()
    (folder / "processor" / "preprocessor_config.json").write_text("{}")
    return folder


def whole(folder: Path, transformer: Mapping[str, object], index: Mapping[str, object]) -> Path:
    """A folder of the parts that all base models have, with one number as the weights of each part."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    weights = len(header).to_bytes(8, "little") + header + bytes(4)
    for part, stem in (
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
        ("transformer", "diffusion_pytorch_model"),
    ):
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps(transformer if part == "transformer" else {}))
        (folder / part / f"{stem}.safetensors").write_bytes(weights)
    for path in (
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/tokenizer.json",
    ):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("{}")
    (folder / "model_index.json").write_text(json.dumps(index))
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


def test_the_switch_of_2511_tells_it_from_2509(tmp_path: Path) -> None:
    folders = f"{qwen(tmp_path / 'nine')}, {qwen(tmp_path / 'eleven', zero_cond_t=True)}"
    first, second = models(tmp_path / "data", MODEL_DIRS=folders).stdout.splitlines()
    assert "holds Qwen-Image-Edit-2509 (nine), " in first
    assert first.endswith(" GB, Apache License 2.0.")
    assert "holds Qwen-Image-Edit-2511 (eleven), " in second


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (
            "processor/preprocessor_config.json",
            "processor lacks preprocessor_config.json, or processor_config.json: the",
        ),
        (
            "tokenizer/tokenizer.json",
            "tokenizer lacks tokenizer.json, or vocab.json and merges.txt: the download",
        ),
        (
            "text_encoder/model.safetensors",
            "text_encoder has no model.safetensors: the download was not finished",
        ),
    ],
)
def test_what_a_folder_of_qwen_lacks_is_named(tmp_path: Path, file: str, says: str) -> None:
    folder = qwen(tmp_path / "qwen")
    (folder / file).unlink()
    with pytest.raises(model_folder.ModelFolderError, match=says):
        model_folder.inspect(folder)


@pytest.mark.parametrize("pipeline", ["QwenImagePipeline", "QwenImageEditPipeline"])
def test_the_other_pipelines_of_qwen_are_refused(tmp_path: Path, pipeline: str) -> None:
    folder = whole(tmp_path / "qwen", {}, {"_class_name": pipeline})
    with pytest.raises(
        model_folder.ModelFolderError, match=f"holds {pipeline}, not .*QwenImageEditPlusPipeline."
    ):
        model_folder.inspect(folder)
