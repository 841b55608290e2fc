"""The interface of every trainer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from finetune_portal.engine.datasets import Dataset
from finetune_portal.engine.trainers.children import Event
from finetune_portal.engine.trainers.image_generator import ImageGenerator
from finetune_portal.engine.trainers.model_folder import BaseModel

Report = Callable[[Event], None]
KONTEXT = "flux-kontext"  # the base model of a request in the vendor's words


@dataclass(frozen=True)
class TrainingSpec:
    """All that a training depends on."""

    name: str
    instance_prompt: str
    steps: int
    learning_rate: float
    dataset: Dataset
    parameters: Mapping[str, Any] = field(default_factory=dict)  # checked by parameters.py
    base_model: str = ""  # the id of a variant (families/layouts.py); empty for FLUX.1 Kontext


class TrainingError(Exception):
    """Says why a training failed and what to do, in sentences for its owner."""


class BaseModelGoneError(TrainingError):
    def __init__(self, base_model: str) -> None:
        super().__init__(f"This engine has no {base_model or KONTEXT} any more.")


class Trainer(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def is_simulated(self) -> bool: ...

    @property
    def slots(self) -> int:
        """How many trainings may run at the same time."""
        ...

    @property
    def models(self) -> Sequence[BaseModel]:
        """The base models that can be trained; none where trainings are simulated."""
        ...

    @property
    def image_generator(self) -> ImageGenerator | None:
        """What runs the finished models; None where nothing is learned, or this machine cannot run them."""
        ...

    @property
    def why_no_images(self) -> str:
        """Why there is no image generator, in a sentence; empty where there is one."""
        ...

    def about(self, base_model: str = "") -> dict[str, Any]:
        """What the owner of a file must know of its making: the trainer and the base model of this id.

        Of a base model that is not here any more, no more than its trainer.
        """
        ...

    def delay_seconds(self, steps: int) -> float:
        """How long a job stays in training before `train` is called; 0 if `train` takes its own time."""
        ...

    def train(self, spec: TrainingSpec, work: Path, folder: Path, report: Report) -> Path:
        """Write the weights into `folder` and return their path; keep in `work` what a restart needs.

        `report` takes the events of progress.py, and `{}` as a sign of life. It raises when the engine stops
        or the job is cancelled: let that pass.
        """
        ...


def find_model(models: Sequence[BaseModel], base_model: str) -> BaseModel | None:
    """The base model with this id among them; FLUX.1 Kontext without an id."""
    return next((each for each in models if each.variant.id == (base_model or KONTEXT)), None)


def file_name(name: str) -> str:
    """Make a file name that can be downloaded from the name that a person typed."""
    return (re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:100] or "model") + ".safetensors"
