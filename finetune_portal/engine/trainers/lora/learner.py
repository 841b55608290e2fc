"""One optimizer step at a time on the LoRA of a transformer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from finetune_portal.engine.trainers.families.examples import Batch
from finetune_portal.engine.trainers.families.family import Family
from finetune_portal.engine.trainers.lora.distributed import ProcessGroup
from finetune_portal.engine.trainers.lora.loss import flow_matching_loss
from finetune_portal.engine.trainers.lora.sigmas import Shift, draw_sigmas


class Learner:
    """Trains the parameters that require a gradient. Its noise depends on the seed and the step alone."""

    def __init__(
        self,
        family: type[Family],
        transformer: Any,
        optimizer: Any,
        request: Mapping[str, Any],
        dtype: torch.dtype,
        group: ProcessGroup,
        shift: Shift,
    ) -> None:
        self.family = family
        self.transformer, self.optimizer, self.request = transformer, optimizer, request
        self.dtype, self.group, self.shift = dtype, group, shift
        self.parameters: list[Tensor] = [each for each in transformer.parameters() if each.requires_grad]

    def step(self, step: int, batches: Sequence[Batch]) -> float:
        """Do step number `step`, counted from 0, with the mean gradient of its batches.

        Returns its loss, the mean over the batches and the processes.
        """
        self.optimizer.zero_grad()
        total = torch.zeros((), device=batches[0].targets.device)
        for number, batch in enumerate(batches, step * len(batches)):
            loss = self.loss(batch, *self.sample_noise(number, batch)) / len(batches)
            loss.backward()
            total += loss.detach()
        gradients = [each.grad for each in self.parameters if each.grad is not None]
        self.group.all_reduce_mean([*gradients, total])
        torch.nn.utils.clip_grad_norm_(self.parameters, self.request["gradient_clipping"])
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        self.optimizer.step()
        return float(total)

    def sample_noise(self, number: int, batch: Batch) -> tuple[Tensor, Tensor]:
        """Noise of the targets' shape, and a sigma for each example of batch `number` of this process."""
        seed = self.request["seed"] * 1_000_003 + self.group.batch_number(number)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(batch.targets.shape, generator=generator).to(batch.targets)
        even = torch.rand(len(batch.targets), generator=generator)
        # A training that an earlier release began has no such parameter, and ends as it began.
        sampling = self.request.get("timestep_sampling", "uniform")
        sigmas = draw_sigmas(sampling, even, self.family.token_count(batch.targets), self.shift)
        return noise, sigmas.to(batch.targets.device)

    def loss(self, batch: Batch, noise: Tensor, sigmas: Tensor) -> Tensor:
        device = batch.targets.device.type
        with torch.autocast(device, self.dtype, enabled=device == "cuda"):
            return flow_matching_loss(
                self.family, self.transformer, batch, noise, sigmas, self.request.get("guidance", 1.0)
            )

    def learning_rate(self, step: int) -> float:
        """A linear warm-up over `warmup_steps`, at most half of all steps; then by `lr_scheduler`."""
        steps: int = self.request["steps"]
        warmup: int = min(self.request["warmup_steps"], steps // 2)
        rate = float(self.request["learning_rate"])
        if step < warmup:
            return rate * (step + 1) / (warmup + 1)
        if self.request.get("lr_scheduler") == "cosine":
            return rate * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
        return rate
