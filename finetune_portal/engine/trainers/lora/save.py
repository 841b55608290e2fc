"""Save a finished LoRA in diffusers' key layout, with the settings of its training in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save

from finetune_portal.engine import room
from finetune_portal.engine.trainers import parameters

PACKAGES = ("torch", "diffusers", "peft", "transformers")


@dataclass(frozen=True)
class Facts:
    """What is known of a training at its end, beside its request."""

    pairs: int
    resolution: int  # the side in pixels of a square as large as the images
    held_out_loss: float | None  # of the last validation


def save_lora(
    path: Path,
    transformer: Any,
    request: Mapping[str, Any],
    family: Mapping[str, str],
    facts: Facts,
    *,
    dtype: torch.dtype,
) -> None:
    """Write the .safetensors file. B is multiplied by alpha / rank, so a reader needs no alpha.

    `family`: the metadata by which managers of LoRAs tell the base model. Raises room.NoRoomError.
    """
    scale = (request["alpha"] or request["rank"]) / request["rank"]
    tensors = {}
    for name, tensor in get_peft_model_state_dict(transformer).items():
        scaled = tensor * scale if ".lora_B." in name else tensor
        tensors[f"transformer.{name}"] = scaled.detach().to("cpu", dtype).contiguous()
    content = save(tensors, {**_metadata(request, facts), **family})
    with room.write_announced(path, len(content)) as file:
        file.write(content)


def _metadata(request: Mapping[str, Any], facts: Facts) -> dict[str, str]:
    return {
        "format": "pt",
        "simulated": "false",
        "base_model": request["model_name"],
        "name": request["name"],
        "rank": str(request["rank"]),
        "alpha": str(request["alpha"] or request["rank"]),
        "steps": str(request["steps"]),
        "batch_size": str(request["batch_size"]),
        "learning_rate": repr(request["learning_rate"]),
        "seed": str(request["seed"]),
        "instance_prompt": request["instance_prompt"],
        "pairs": str(facts.pairs),
        "dataset_sha256": request["dataset_sha256"],
        "parameters": json.dumps({name: request[name] for name in parameters.KNOWN if name in request}),
        "held_out_loss": "" if facts.held_out_loss is None else f"{facts.held_out_loss:.6f}",
        "versions": json.dumps({name: version(name) for name in PACKAGES}),
        **_for_managers(request, facts),
    }


def _for_managers(request: Mapping[str, Any], facts: Facts) -> dict[str, str]:
    """The keys by which LoRA managers file a model: ModelSpec 1.0.0, and those of kohya's scripts.

    The alpha is the rank here, because B is multiplied already.
    """
    now = datetime.now(UTC)
    side, accumulation = facts.resolution, request.get("gradient_accumulation_steps", 1)
    return {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.title": request["name"],
        "modelspec.date": now.isoformat(timespec="seconds"),
        "modelspec.resolution": f"{side}x{side}",
        "modelspec.trigger_phrase": request["instance_prompt"],
        "modelspec.description": f"Edits images as {facts.pairs} pairs of before and after show it.",
        "ss_sd_model_name": request["model_name"],
        "ss_output_name": request["name"],
        "ss_network_module": "peft",
        "ss_network_dim": str(request["rank"]),
        "ss_network_alpha": str(request["rank"]),
        "ss_resolution": f"({side}, {side})",
        "ss_num_train_images": str(facts.pairs),
        "ss_gradient_accumulation_steps": str(accumulation),
        "ss_total_batch_size": str(request["batch_size"] * accumulation),
        "ss_learning_rate": repr(request["learning_rate"]),
        "ss_lr_scheduler": request.get("lr_scheduler", "constant"),
        "ss_lr_warmup_steps": str(request["warmup_steps"]),
        "ss_steps": str(request["steps"]),
        "ss_max_train_steps": str(request["steps"]),
        "ss_seed": str(request["seed"]),
        "ss_training_finished_at": f"{now.timestamp():.0f}",
    }
