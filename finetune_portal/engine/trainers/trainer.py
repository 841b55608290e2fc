"""The small interface that every trainer stands behind."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from finetune_portal.engine.datasets import Dataset
from finetune_portal.engine.trainers.children import Event
from finetune_portal.engine.trainers.image_generator import Painter


@dataclass(frozen=True)
class Spec:
    """All that a training depends on."""

    name: str
    instance_prompt: str
    steps: int
    learning_rate: float
    dataset: Dataset
    parameters: Mapping[str, Any] = field(default_factory=dict)  # what parameters.py let pass


Report = Callable[[Event], None]


class TrainingFailed(Exception):
    """Why a training failed and what to do, in sentences for its owner."""


class Trainer(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def simulated(self) -> bool: ...

    @property
    def places(self) -> int:
        """How many trainings may run at the same time."""
        ...

    @property
    def painter(self) -> Painter | None:
        """Who makes pictures with what was trained; None where nothing is learnt."""
        ...

    def about(self) -> dict[str, Any]:
        """What the owner of a file must know of how it was made: the trainer, and the model it trained."""
        ...

    def seconds(self, steps: int) -> float:
        """How long a job is to stay in training before `train` is called; 0 if `train` takes its own time."""
        ...

    def train(self, spec: Spec, work: Path, folder: Path, report: Report) -> Path:
        """Write the weights into `folder`; keep what is needed to go on after a kill in `work`.

        `report` takes the events of progress.py, and `{}` for a sign of life. It raises when the engine
        stops or the job was cancelled: let that pass.
        """
        ...


def file_name(name: str) -> str:
    """A file name that can be downloaded, from what a person typed."""
    return (re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:100] or "model") + ".safetensors"
