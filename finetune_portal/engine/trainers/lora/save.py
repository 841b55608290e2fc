"""Save a finished LoRA in diffusers' key layout, with the settings of its training in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

from finetune_portal.engine.atomic_write import write_atomically

PACKAGES = ("torch", "diffusers", "peft", "transformers")


def save_lora(
    path: Path, transformer: Any, request: Mapping[str, Any], *, pairs: int, dtype: torch.dtype
) -> None:
    """Write the .safetensors file. B is multiplied by alpha / rank, so a reader needs no alpha."""
    scale = (request["alpha"] or request["rank"]) / request["rank"]
    tensors = {}
    for name, tensor in get_peft_model_state_dict(transformer).items():
        scaled = tensor * scale if ".lora_B." in name else tensor
        tensors[f"transformer.{name}"] = scaled.detach().to("cpu", dtype).contiguous()
    with write_atomically(path) as draft:
        save_file(tensors, draft, metadata=_metadata(request, pairs))


def _metadata(request: Mapping[str, Any], pairs: int) -> dict[str, str]:
    return {
        "format": "pt",
        "simulated": "false",
        "base_model": request["model_name"],
        "theme": "KONTEXT",
        "name": request["name"],
        "rank": str(request["rank"]),
        "alpha": str(request["alpha"] or request["rank"]),
        "steps": str(request["steps"]),
        "batch_size": str(request["batch_size"]),
        "learning_rate": repr(request["learning_rate"]),
        "seed": str(request["seed"]),
        "instance_prompt": request["instance_prompt"],
        "pairs": str(pairs),
        "dataset_sha256": request["dataset_sha256"],
        "versions": json.dumps({name: version(name) for name in PACKAGES}),
    }
