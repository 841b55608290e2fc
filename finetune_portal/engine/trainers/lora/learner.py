"""A LoRA while it learns: one step at a time, whatever the batch is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from finetune_portal.engine.trainers.families.examples import Batch
from finetune_portal.engine.trainers.lora.distributed import Group
from finetune_portal.engine.trainers.lora.loss import flow_matching_loss


class Learner:
    """What a step draws depends on the seed and its number alone."""

    def __init__(
        self, transformer: Any, optimizer: Any, request: Mapping[str, Any], dtype: torch.dtype, group: Group
    ) -> None:
        self.transformer, self.optimizer, self.request = transformer, optimizer, request
        self.dtype, self.group = dtype, group
        self.trained: list[Tensor] = [each for each in transformer.parameters() if each.requires_grad]

    def step(self, step: int, batch: Batch) -> float:
        """Step number `step`, from 0: forward, backward, clip, move; the loss that it found."""
        loss = self.loss(batch, *self.drawn(step, batch))
        self.optimizer.zero_grad()
        loss.backward()
        self.group.average([*(each.grad for each in self.trained if each.grad is not None), loss.detach()])
        torch.nn.utils.clip_grad_norm_(self.trained, self.request["gradient_clipping"])
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)
        self.optimizer.step()
        return float(loss.detach())

    def drawn(self, step: int, batch: Batch) -> tuple[Tensor, Tensor]:
        """Noise, and a sigma for each example."""
        drawn = torch.Generator().manual_seed(self.request["seed"] * 1_000_003 + self.group.number(step))
        noise = torch.randn(batch.targets.shape, generator=drawn).to(batch.targets)
        return noise, torch.rand(len(batch.targets), generator=drawn).to(batch.targets.device)

    def loss(self, batch: Batch, noise: Tensor, sigmas: Tensor) -> Tensor:
        place = batch.targets.device.type
        with torch.autocast(place, self.dtype, enabled=place == "cuda"):
            return flow_matching_loss(self.transformer, batch, noise, sigmas, self.request["guidance"])

    def rate(self, step: int) -> float:
        warm: int = min(self.request["warmup_steps"], self.request["steps"] // 2)
        return float(self.request["learning_rate"]) * min(1.0, (step + 1) / (warm + 1))
