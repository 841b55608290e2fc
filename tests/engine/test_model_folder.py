"""What is said of a folder of weights before anything is loaded: half a download is found by its headers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune_portal.engine.trainers import model_folder
from tests.running import ROOT

TINY = ROOT / "finetune_portal" / "engine" / "trainers" / "tiny" / "model"
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
SHARD = "diffusion_pytorch_model-0000{}-of-00002.safetensors"
Harm = Callable[[Path], object]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "model"))


def split(model: Path, *, shards: int = 2) -> Path:
    """Give the transformer an index, as large models have it; return the folder of the transformer."""
    folder = model / "transformer"
    whole = folder / Path(WEIGHTS).name
    content = whole.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    names = sorted(header, key=lambda name: header[name]["data_offsets"])
    half = len(names) // 2
    weight_map: dict[str, str] = {}
    for number, part in enumerate((names[:half], names[half:]), 1):
        first, last = header[part[0]]["data_offsets"][0], header[part[-1]]["data_offsets"][1]
        own = {
            n: {**header[n], "data_offsets": [at - first for at in header[n]["data_offsets"]]} for n in part
        }
        text = json.dumps(own).encode()
        data = content[8 + length + first : 8 + length + last]
        if number <= shards:
            (folder / SHARD.format(number)).write_bytes(len(text).to_bytes(8, "little") + text + data)
        weight_map |= dict.fromkeys(part, SHARD.format(number))
    index = json.dumps({"metadata": {}, "weight_map": weight_map})
    (folder / f"{whole.name}.index.json").write_text(index)
    whole.unlink()
    return folder


def cut(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


def swapped(model: Path) -> None:
    folder = split(model)
    shutil.copy(folder / SHARD.format(1), folder / SHARD.format(2))


def only(model: Path, name: str) -> None:
    (model / "tokenizer_2" / "tokenizer.json").rename(model / "tokenizer_2" / name)


def test_a_whole_folder_is_taken(model: Path) -> None:
    assert model_folder.inspect(model).is_tiny
    split(model)
    assert model_folder.inspect(model).name == "finetune-portal/tiny-kontext"
    only(model, "spiece.model")
    assert model_folder.inspect(model)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda model: cut(model / WEIGHTS, 100_000), f"{WEIGHTS} has 100,000 of "),
        (lambda model: cut(model / WEIGHTS, 100), "is not a whole .safetensors file: the download was not"),
        (lambda model: cut(model / WEIGHTS, 0), "is not a whole .safetensors file"),
        (lambda model: (model / WEIGHTS).write_text("version https://git-lfs"), "a pointer of Git LFS"),
        (lambda model: (model / WEIGHTS).unlink(), "has no diffusion_pytorch_model.safetensors: the "),
        (lambda model: split(model, shards=1), f"transformer lacks 1 of 2 files, such as {SHARD.format(2)}"),
        (lambda model: cut(split(model) / SHARD.format(2), 5000), "is not a whole|has 5,000"),
        (swapped, f"{SHARD.format(2)} does not have the weights that"),
        (lambda model: (split(model) / f"{Path(WEIGHTS).name}.index.json").write_text("{"), "not an index"),
        (lambda model: cut(model / "vae/diffusion_pytorch_model.safetensors", 9999), "vae.* is not a whole"),
        (lambda model: shutil.rmtree(model / "tokenizer_2"), "has no folder tokenizer_2"),
        (lambda model: (model / "tokenizer_2/tokenizer.json").unlink(), "tokenizer_2 lacks tokenizer.json"),
        (lambda model: cut(model / "tokenizer/tokenizer.json", 50), "tokenizer.json is not JSON"),
        (lambda model: only(model, "vocab.json"), "tokenizer_2 lacks tokenizer.json, or spiece.model"),
        (lambda model: (model / "tokenizer/tokenizer_config.json").unlink(), "config.json is missing"),
        (lambda model: (model / "scheduler/scheduler_config.json").unlink(), "config.json is missing"),
    ],
)  # fmt: skip
def test_half_a_download_is_named(model: Path, harm: Harm, says: str) -> None:
    harm(model)
    with pytest.raises(model_folder.ModelFolderError, match=says):
        model_folder.inspect(model)


def cached(model: Path, *commits: str, main: str = "") -> Path:
    """The layout of the Hugging Face cache: blobs, and snapshots of links to them."""
    cache = model.parent / "hub" / "models--black-forest-labs--FLUX.1-Kontext-dev"
    for commit in commits:
        snapshot = cache / "snapshots" / commit
        for path in (each for each in model.rglob("*") if each.is_file()):
            link = snapshot / path.relative_to(model)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text(main)
    return cache


@pytest.mark.parametrize("below", ["", "snapshots", "snapshots/abc"])
def test_a_folder_of_the_hugging_face_cache_is_taken(model: Path, below: str) -> None:
    config = json.loads((model / "transformer/config.json").read_text())
    config.pop("_name_or_path", None)
    (model / "transformer/config.json").write_text(json.dumps(config))
    cache = cached(model, "abc", *(["old"] if below != "snapshots/abc" else []), main="abc")
    folder = model_folder.find(str(cache / below))
    assert folder == cache / "snapshots" / "abc"
    assert model_folder.inspect(folder).name == "black-forest-labs/FLUX.1-Kontext-dev"


def test_a_cache_without_its_files_is_named(model: Path) -> None:
    cache = cached(model, "abc", main="abc")
    (model / WEIGHTS).unlink()  # the link of the snapshot now leads nowhere
    with pytest.raises(model_folder.ModelFolderError, match="cannot be read: the download was not finished"):
        model_folder.inspect(model_folder.find(str(cache)))
    shutil.rmtree(cache / "snapshots")
    with pytest.raises(model_folder.ModelFolderError, match="has no snapshot: the download was not finished"):
        model_folder.find(str(cache))


def test_a_cache_of_several_snapshots_asks_for_one(model: Path) -> None:
    with pytest.raises(model_folder.ModelFolderError, match="has several snapshots: name one of them"):
        model_folder.find(str(cached(model, "abc", "def")))


def test_what_is_no_folder_is_named_for_what_it_is(tmp_path: Path) -> None:
    single = tmp_path / "flux1-kontext-dev.safetensors"
    single.write_bytes(b"x")
    for named, says in (
        (str(single), "is a file, as ComfyUI uses it.*hf download black-forest-labs/FLUX.1-Kontext-dev"),
        ("black-forest-labs/FLUX.1-Kontext-dev", "hf download black-forest-labs/FLUX.1-Kontext-dev --local"),
        (str(tmp_path / "nowhere"), f"There is no folder {tmp_path}/nowhere"),
    ):
        with pytest.raises(model_folder.ModelFolderError, match=says):
            model_folder.find(named)
    with pytest.raises(model_folder.ModelFolderError, match="single files, such as flux1-kontext-dev"):
        model_folder.inspect(model_folder.find(str(tmp_path)))


def test_another_pipeline_is_named(model: Path) -> None:
    (model / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(model_folder.ModelFolderError, match="holds FluxPipeline, not FluxKontext"):
        model_folder.inspect(model)
