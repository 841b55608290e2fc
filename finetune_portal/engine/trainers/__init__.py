"""Trainers: what turns a dataset into LoRA weights."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from finetune_portal import env
from finetune_portal.engine.trainers import devices, model_folder, ray_cluster
from finetune_portal.engine.trainers.image_generator import Painter
from finetune_portal.engine.trainers.kontext import KontextTrainer
from finetune_portal.engine.trainers.model_folder import Model
from finetune_portal.engine.trainers.ray_cluster import RayTrainer
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
    address = env.text("RAY_ADDRESS")
    needed = (*NEEDED, "ray") if address else NEEDED
    if missing := [name for name in needed if find_spec(name) is None]:
        raise NoTrainer(
            f"KONTEXT_MODEL_DIR is set, but {', '.join(missing)} is not installed. "
            "Run: pip install -r requirements-train.txt"
        )
    try:
        model = model_folder.look(env.ROOT / named)
        return _on_ray(model, address) if address else _here(model, devices.found())
    except model_folder.NoModel as wrong:
        raise NoTrainer(f"KONTEXT_MODEL_DIR: {wrong}") from None
    except ray_cluster.NoCluster as wrong:
        raise NoTrainer(f"RAY_ADDRESS: {wrong}") from None


def _here(model: Model, names: list[str]) -> KontextTrainer:
    shared = devices.Devices(names)
    return KontextTrainer(model, shared, _painter(model, shared))


def _on_ray(model: Model, address: str) -> KontextTrainer:
    """Pictures are made on this machine, if it is up to it."""
    names = devices.found()
    is_slow = names == [devices.CPU] and not model.tiny
    painter = None if is_slow else _painter(model, devices.Devices(names))
    return RayTrainer(model, painter, ray_cluster.resources(address))


def _painter(model: Model, shared: devices.Devices) -> Painter:
    return Painter(model, shared, log=env.data_dir() / "engine" / "painter.log")
