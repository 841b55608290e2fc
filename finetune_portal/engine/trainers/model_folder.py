"""Find a folder of weights, and check that it is a whole base model in diffusers' layout."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_portal import env
from finetune_portal.engine.trainers import parameters, weight_files
from finetune_portal.engine.trainers.families.layouts import LAYOUTS, Layout, Variant

TINY_BELOW = 1024  # the width of the transformer; FLUX has 3072
CACHE = re.compile(r"models--(?P<owner>.+?)--(?P<name>.+)")  # a folder of the Hugging Face cache
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
DOWNLOAD = "Run: hf download {} --local-dir /models/NAME, and set MODEL_DIRS to /models/NAME."
KONTEXT = LAYOUTS["FluxKontextPipeline"].repository


class ModelFolderError(Exception):
    """Says what is wrong with the folder, in a sentence for the operator."""


@dataclass(frozen=True)
class BaseModel:
    folder: Path
    name: str
    is_tiny: bool
    layout: Layout
    variant: Variant

    @property
    def parameters(self) -> dict[str, parameters.Known]:
        """What a training of it takes beside steps and learning rate."""
        layout = self.layout
        return parameters.of(lacks=layout.lacks, defaults=layout.defaults, bounds=layout.bounds)


def find(named: str) -> Path:
    """The folder that a variable names: one with a model, or one of the Hugging Face cache.

    Raises ModelFolderError if there is none.
    """
    path = env.ROOT / Path(named).expanduser()
    if path.is_file():
        raise ModelFolderError(
            f"{path} is a file, as ComfyUI uses it. Training needs the folder in diffusers' layout. "
            f"{DOWNLOAD.format(KONTEXT)}"
        )
    if not path.is_dir() and REPOSITORY.fullmatch(named):
        raise ModelFolderError(
            f"{named} is no folder here. If it is a name on Hugging Face: nothing is downloaded at run time. "
            f"{DOWNLOAD.format(named)}"
        )
    if not path.is_dir():
        raise ModelFolderError(f"There is no folder {path}.")
    cache = path.parent if path.name == "snapshots" else path
    return _snapshot(cache) if CACHE.fullmatch(cache.name) else path


def inspect(folder: Path) -> BaseModel:
    """Raise ModelFolderError unless every part is whole, as far as names, lengths and headers show it."""
    if not folder.is_dir():
        raise ModelFolderError(f"There is no folder {folder}.")
    layout = _layout(folder)
    for part, stem in layout.parts.items():
        _read_json(folder / part / ("config.json" if stem else "scheduler_config.json"))
        try:
            if stem:
                weight_files.check(folder / part, stem)
        except weight_files.WeightFileError as error:
            raise ModelFolderError(str(error)) from None
    for part, groups in layout.tokenizers.items():
        _check_files(folder / part, groups)
        _read_json(folder / part / "tokenizer_config.json")
    for part, groups in layout.processors.items():
        _check_files(folder / part, groups)
    transformer = _read_json(folder / "transformer" / "config.json")
    width = transformer.get("num_attention_heads", 24) * transformer.get("attention_head_dim", 128)
    name = str(transformer.get("_name_or_path") or _name(folder))
    variant = layout.variant(width, [name for name, value in transformer.items() if value is True])
    return BaseModel(folder, name, width < TINY_BELOW, layout, variant)


def _snapshot(cache: Path) -> Path:
    """The snapshot of a cached repository that its `main` names, else the only one."""
    main = cache / "refs" / "main"
    commit = main.read_text(encoding="utf-8").strip() if main.is_file() else ""
    snapshots = sorted(each for each in (cache / "snapshots").glob("*") if each.is_dir())
    chosen = [each for each in snapshots if each.name == commit] or snapshots
    if len(chosen) != 1:
        state = (
            "several snapshots: name one of them" if chosen else "no snapshot: the download was not finished"
        )
        raise ModelFolderError(f"{cache / 'snapshots'} has {state}.")
    return chosen[0]


def _name(folder: Path) -> str:
    """The name of the repository where the folder is a snapshot of the cache, else the folder's own."""
    if folder.parent.name == "snapshots" and (match := CACHE.fullmatch(folder.parent.parent.name)):
        return f"{match['owner']}/{match['name']}"
    return folder.name


def _layout(folder: Path) -> Layout:
    """What the folder must hold, by the pipeline that it names."""
    index = folder / "model_index.json"
    singles = sorted(path.name for path in folder.glob("*.safetensors"))
    if singles and not index.exists():
        raise ModelFolderError(
            f"{folder} holds single files, such as {singles[0]}, as ComfyUI uses them. Training needs the "
            f"folder in diffusers' layout. {DOWNLOAD.format(KONTEXT)}"
        )
    read = _read_json(index)
    pipeline = read.get("_class_name")
    if pipeline not in LAYOUTS:
        raise ModelFolderError(f"{folder} holds {pipeline or 'something else'}, not {', or '.join(LAYOUTS)}.")
    layout = LAYOUTS[pipeline]
    if read.get("is_distilled"):
        raise ModelFolderError(
            f"{folder} holds a distilled model, which makes images in a few steps and is not trained. "
            f"{DOWNLOAD.format(layout.repository)}"
        )
    return layout


def _check_files(folder: Path, groups: tuple[tuple[str, ...], ...]) -> None:
    if not folder.is_dir():
        raise ModelFolderError(f"{folder.parent} has no folder {folder.name}.")
    if not any(all(_has_content(folder / name) for name in group) for group in groups):
        wanted = ", or ".join(" and ".join(group) for group in groups)
        raise ModelFolderError(f"{folder} lacks {wanted}: {weight_files.UNFINISHED}.")
    for path in folder.glob("*.json"):
        _read_json(path)


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ModelFolderError(f"{path} is missing.") from None
    except ValueError:
        raise ModelFolderError(f"{path} is not JSON.") from None
    if not isinstance(value, dict):
        raise ModelFolderError(f"{path} is not a JSON object.")
    return value
