"""What lies in a folder of weights: whether it is a whole FLUX.1-Kontext in diffusers' layout, and which."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PIPELINE = "FluxKontextPipeline"
PARTS = ("scheduler", "vae", "text_encoder", "text_encoder_2", "transformer")  # each with a config of its own
TOKENIZERS = ("tokenizer", "tokenizer_2")
TINY_BELOW = 1024  # the width of the transformer; FLUX has 3072


class NoModel(Exception):
    """What is wrong with the folder, in a sentence for the operator."""


@dataclass(frozen=True)
class Model:
    folder: Path
    name: str
    tiny: bool


def look(folder: Path) -> Model:
    if not folder.is_dir():
        raise NoModel(f"There is no folder {folder}.")
    kind = _json(folder / "model_index.json").get("_class_name")
    if kind != PIPELINE:
        raise NoModel(f"{folder} holds {kind or 'something else'}, not {PIPELINE}.")
    for part in PARTS:
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        if part != "scheduler" and not any((folder / part).glob("*.safetensors")):
            raise NoModel(f"{folder / part} has no .safetensors file: the download was not finished.")
        _json(folder / part / name)
    for part in TOKENIZERS:
        if not (folder / part).is_dir():
            raise NoModel(f"{folder} has no folder {part}.")
    transformer = _json(folder / "transformer" / "config.json")
    width = transformer.get("num_attention_heads", 24) * transformer.get("attention_head_dim", 128)
    return Model(folder, str(transformer.get("_name_or_path") or folder.name), width < TINY_BELOW)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise NoModel(f"{path} is missing.") from None
    except ValueError:
        raise NoModel(f"{path} is not JSON.") from None
    if not isinstance(value, dict):
        raise NoModel(f"{path} is not a JSON object.")
    return value
