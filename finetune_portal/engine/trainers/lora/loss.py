"""The loss of one step: flow matching, the same for every family of base models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from finetune_portal.engine.trainers.families.examples import Batch
from finetune_portal.engine.trainers.families.family import Family


def flow_matching_loss(
    family: type[Family], transformer: Any, batch: Batch, noise: Tensor, sigmas: Tensor, guidance: float
) -> Tensor:
    """Mean squared error of the predicted velocity, whose true value is `noise - target`.

    `sigmas`: one for each example, (count,); 0 is the image, 1 is noise.
    """
    noisy = torch.lerp(batch.targets, noise, sigmas.view(-1, 1, 1, 1).to(noise))
    prediction = family.velocity(transformer, noisy, batch, sigmas, guidance)
    velocity = family.pack(noise - batch.targets)
    return torch.nn.functional.mse_loss(prediction.float(), velocity.float())
