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
    """Says why a model cannot be trained here, in a sentence for the operator."""


@cache
def current_trainer() -> Trainer:
    """The real trainer if a variable names a model (on Ray with RAY_ADDRESS), else the simulated."""
    if not (named := named_folders()):
        return SimulatedTrainer()
    address = env.text("RAY_ADDRESS")
    if missing := packages.missing(("ray",) if address else packages.TRAINING):
        raise TrainerUnavailableError(
            f"{'RAY_ADDRESS' if address else named[0][0]} is set, but {_not_installed(missing)}"
        )
    models = _models(named)
    try:
        return _on_ray(models, address) if address else _on_this_machine(models, devices.find())
    except gpu_check.GpuError as error:
        full = next(model.name for model in models if not model.is_tiny)
        raise TrainerUnavailableError(f"{full} cannot be trained here. {error}") from None
    except ray_cluster.RayClusterError as error:
        raise TrainerUnavailableError(f"RAY_ADDRESS: {error}") from None


def named_folders() -> list[tuple[str, str]]:
    """The folders that variables name, each after the name of its variable."""
    kontext = env.text("KONTEXT_MODEL_DIR")
    listed = [("MODEL_DIRS", folder) for folder in env.listing("MODEL_DIRS")]
    return [("KONTEXT_MODEL_DIR", kontext), *listed] if kontext else listed


def _models(named: list[tuple[str, str]]) -> list[BaseModel]:
    """The models of the folders. Raises TrainerUnavailableError unless all are whole and unlike."""
    models: dict[str, BaseModel] = {}
    for variable, folder in named:
        try:
            model = model_folder.inspect(model_folder.find(folder))
        except model_folder.ModelFolderError as error:
            raise TrainerUnavailableError(f"{variable}: {error}") from None
        if other := models.get(model.variant.id):
            raise TrainerUnavailableError(f"{variable}: {both_hold(other, model)}")
        models[model.variant.id] = model
    return list(models.values())


def both_hold(one: BaseModel, other: BaseModel) -> str:
    """Say of two folders with the same base model that only one of them can be offered."""
    return f"{one.folder} and {other.folder} both hold {one.variant.title}."


def _on_this_machine(models: list[BaseModel], names: list[str]) -> LoraTrainer:
    if not _are_tiny(models):
        gpu_check.check(names, [model.variant for model in models])
    shared = devices.Devices(names)
    return LoraTrainer(models, shared, _image_generator(shared))


def _are_tiny(models: list[BaseModel]) -> bool:
    return all(model.is_tiny for model in models)


def _on_ray(models: list[BaseModel], address: str) -> RayTrainer:
    """The nodes train. What this machine lacks keeps it only from generating images, which it does itself."""
    resources = ray_cluster.resources(address)
    if not _are_tiny(models) and not resources.get("GPU"):
        raise gpu_check.GpuError(f"No node of the Ray cluster has a GPU. {gpu_check.NOT_ON_A_CPU}")
    names = devices.find()
    if reason := _why_no_images(models, names):
        log.warning("Nodes of the Ray cluster train, but finished models do not run here. %s", reason)
        return RayTrainer(models, None, resources, why_no_images=reason)
    return RayTrainer(models, _image_generator(devices.Devices(names)), resources)


def _why_no_images(models: list[BaseModel], names: list[str]) -> str:
    """What keeps this machine from running the models on its devices (devices.find); or nothing."""
    if missing := packages.missing(packages.TRAINING):
        return f"On the engine's machine {_not_installed(missing)}"
    if _are_tiny(models):
        return ""
    if names == [devices.CPU]:
        return NO_GPU
    try:
        gpu_check.check(names, [model.variant for model in models])
    except gpu_check.GpuError as error:
        return str(error)
    return ""


def _not_installed(names: list[str]) -> str:
    command = packages.install_command("-r requirements-train.txt")
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not installed. Run: {command}"


def _image_generator(shared: devices.Devices) -> ImageGenerator:
    return ImageGenerator(shared, log=env.data_dir() / "engine" / "image-generator.log")
