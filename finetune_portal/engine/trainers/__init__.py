"""Trainers: what turns a dataset into LoRA weights."""

from __future__ import annotations

from finetune_portal.engine.trainers.simulated import SimulatedTrainer
from finetune_portal.engine.trainers.trainer import Trainer


def current() -> Trainer:
    """The trainer that this engine uses."""
    return SimulatedTrainer()
