"""The small interface that every trainer stands behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from finetune_portal.engine.datasets import Dataset


@dataclass(frozen=True)
class Spec:
    """All that a training depends on."""

    name: str
    instance_prompt: str
    steps: int
    learning_rate: float
    dataset: Dataset


Report = Callable[[int], None]


class Trainer(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def simulated(self) -> bool: ...

    def seconds(self, steps: int) -> float:
        """How long a job is to stay in training before `train` is called; 0 if `train` takes its own time."""
        ...

    def train(self, spec: Spec, folder: Path, report: Report) -> Path:
        """Write the weights into `folder`. `report` takes the steps done; it raises when the engine stops."""
        ...
