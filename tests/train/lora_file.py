"""The file that a training of any family makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from finetune_portal.engine.trainers.lora.training import Training
from tests.train.training import dataset, spec, training


def trained(model: Path, folder: Path) -> tuple[Training, Path]:
    """A training after three steps, and its file."""
    trainer = training(spec(dataset(folder / "a.zip"), alpha=8), model, folder / "work")
    for step in range(3):
        trainer.learner.step(step, trainer.batches(step))
    trainer.save_lora()
    return trainer, folder / "work" / "weights.safetensors"


def assert_is_what_was_trained(trainer: Training, file: Path, fresh: Any) -> None:
    """In a fresh pipeline the LoRA answers as in the training, and without it the base model."""
    batch = trainer.validation_batch

    def velocity(transformer: Any) -> Tensor:
        with torch.no_grad():
            return trainer.model.velocity(transformer, batch.targets, batch, torch.tensor([0.5]), 1.0)

    base = velocity(fresh.transformer)
    fresh.load_lora_weights(file, adapter_name="own")
    torch.testing.assert_close(
        velocity(fresh.transformer), velocity(trainer.transformer), rtol=1e-4, atol=1e-5
    )
    assert not torch.allclose(base, velocity(trainer.transformer), atol=1e-3)
    fresh.disable_lora()
    assert torch.equal(velocity(fresh.transformer), base)
