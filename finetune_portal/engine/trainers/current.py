"""Choose the trainer of this engine by its environment."""

from __future__ import annotations

import logging
from functools import cache

from finetune_portal import env
from finetune_portal.engine.trainers import devices, gpu_check, model_folder, packages, ray_cluster
from finetune_portal.engine.trainers.image_generator import ImageGenerator
from finetune_portal.engine.trainers.lora_trainer import LoraTrainer
from finetune_portal.engine.trainers.model_folder import BaseModel
from finetune_portal.engine.trainers.ray_cluster import RayTrainer
from finetune_portal.engine.trainers.simulated import SimulatedTrainer
from finetune_portal.engine.trainers.trainer import Trainer

log = logging.getLogger(__name__)

NO_GPU = "No driver lists a GPU on this machine, and a model of full size does not run on a CPU."


class TrainerUnavailableError(Exception):
    """Says why KONTEXT_MODEL_DIR cannot be trained here, in a sentence for the operator."""


@cache
def current_trainer() -> Trainer:
    """The real trainer if KONTEXT_MODEL_DIR names a model (on Ray with RAY_ADDRESS), else the simulated."""
    if not (named := env.text("KONTEXT_MODEL_DIR")):
        return SimulatedTrainer()
    address = env.text("RAY_ADDRESS")
    if missing := packages.missing(("ray",) if address else packages.TRAINING):
        raise TrainerUnavailableError(
            f"{'RAY_ADDRESS' if address else 'KONTEXT_MODEL_DIR'} is set, but {_not_installed(missing)}"
        )
    try:
        model = model_folder.inspect(model_folder.find(named))
        return _on_ray(model, address) if address else _on_this_machine(model, devices.find())
    except model_folder.ModelFolderError as error:
        raise TrainerUnavailableError(f"KONTEXT_MODEL_DIR: {error}") from None
    except gpu_check.GpuError as error:
        raise TrainerUnavailableError(f"{model.name} cannot be trained here. {error}") from None
    except ray_cluster.RayClusterError as error:
        raise TrainerUnavailableError(f"RAY_ADDRESS: {error}") from None


def _on_this_machine(model: BaseModel, names: list[str]) -> LoraTrainer:
    if not model.is_tiny:
        gpu_check.check(names)
    shared = devices.Devices(names)
    return LoraTrainer(model, shared, _image_generator(model, shared))


def _on_ray(model: BaseModel, address: str) -> RayTrainer:
    """The nodes train. What this machine lacks keeps it only from generating images, which it does itself."""
    resources = ray_cluster.resources(address)
    if not model.is_tiny and not resources.get("GPU"):
        raise gpu_check.GpuError(f"No node of the Ray cluster has a GPU. {gpu_check.NOT_ON_A_CPU}")
    names = devices.find()
    if reason := _why_no_images(model, names):
        log.warning("Nodes of the Ray cluster train, but finished models do not run here. %s", reason)
        return RayTrainer(model, None, resources, why_no_images=reason)
    return RayTrainer(model, _image_generator(model, devices.Devices(names)), resources)


def _why_no_images(model: BaseModel, names: list[str]) -> str:
    """What keeps this machine from running the model on its devices (devices.find); or nothing."""
    if missing := packages.missing(packages.TRAINING):
        return f"On the engine's machine {_not_installed(missing)}"
    if model.is_tiny:
        return ""
    if names == [devices.CPU]:
        return NO_GPU
    try:
        gpu_check.check(names)
    except gpu_check.GpuError as error:
        return str(error)
    return ""


def _not_installed(names: list[str]) -> str:
    command = packages.install_command("-r requirements-train.txt")
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not installed. Run: {command}"


def _image_generator(model: BaseModel, shared: devices.Devices) -> ImageGenerator:
    return ImageGenerator(model, shared, log=env.data_dir() / "engine" / "image-generator.log")
