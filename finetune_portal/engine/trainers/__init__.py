"""Trainers: what turns a dataset into LoRA weights."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from finetune_portal import env
from finetune_portal.engine.trainers import devices, models
from finetune_portal.engine.trainers.kontext import KontextTrainer
from finetune_portal.engine.trainers.painter import Painter
from finetune_portal.engine.trainers.simulated import SimulatedTrainer
from finetune_portal.engine.trainers.trainer import Trainer

NEEDED = ("accelerate", "diffusers", "peft", "safetensors", "torch", "transformers")


class NoTrainer(Exception):
    """Why KONTEXT_MODEL_DIR cannot be trained here, in a sentence for the operator."""


@cache
def current() -> Trainer:
    """The trainer that this engine uses: the real one where KONTEXT_MODEL_DIR names a model."""
    if not (named := env.text("KONTEXT_MODEL_DIR")):
        return SimulatedTrainer()
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise NoTrainer(
            f"KONTEXT_MODEL_DIR is set, but {', '.join(missing)} is not installed. "
            "Run: pip install -r requirements-train.txt"
        )
    try:
        model = models.look(env.ROOT / named)
    except models.NoModel as wrong:
        raise NoTrainer(f"KONTEXT_MODEL_DIR: {wrong}") from None
    shared = devices.Devices(devices.found())
    return KontextTrainer(
        model, shared, Painter(model, shared, log=env.data_dir() / "engine" / "painter.log")
    )
