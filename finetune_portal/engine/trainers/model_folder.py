"""Inspect a folder of weights: whether it is a whole FLUX.1-Kontext in diffusers' layout, and which."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PIPELINE = "FluxKontextPipeline"
PARTS = ("scheduler", "vae", "text_encoder", "text_encoder_2", "transformer")  # each with a config of its own
TOKENIZERS = ("tokenizer", "tokenizer_2")
TINY_BELOW = 1024  # the width of the transformer; FLUX has 3072


class ModelFolderError(Exception):
    """Says what is wrong with the folder, in a sentence for the operator."""


@dataclass(frozen=True)
class BaseModel:
    folder: Path
    name: str
    is_tiny: bool


def inspect(folder: Path) -> BaseModel:
    """Raise ModelFolderError unless the folder has every part. The weights themselves are not read."""
    if not folder.is_dir():
        raise ModelFolderError(f"There is no folder {folder}.")
    pipeline = _read_json(folder / "model_index.json").get("_class_name")
    if pipeline != PIPELINE:
        raise ModelFolderError(f"{folder} holds {pipeline or 'something else'}, not {PIPELINE}.")
    for part in PARTS:
        config = "scheduler_config.json" if part == "scheduler" else "config.json"
        if part != "scheduler" and not any((folder / part).glob("*.safetensors")):
            raise ModelFolderError(
                f"{folder / part} has no .safetensors file: the download was not finished."
            )
        _read_json(folder / part / config)
    for part in TOKENIZERS:
        if not (folder / part).is_dir():
            raise ModelFolderError(f"{folder} has no folder {part}.")
    transformer = _read_json(folder / "transformer" / "config.json")
    width = transformer.get("num_attention_heads", 24) * transformer.get("attention_head_dim", 128)
    return BaseModel(folder, str(transformer.get("_name_or_path") or folder.name), width < TINY_BELOW)


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
