"""The processes of one training, one a GPU. Each takes its own batches; all apply the mean gradient.

Gradients are averaged by one all-reduce of a flat tensor instead of DistributedDataParallel: a LoRA's
gradients are small, and the step stays the same code for one process and for many.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import torch
from torch import Tensor, distributed


class ProcessGroup(NamedTuple):
    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process validates, saves and reports."""
        return self.rank == 0

    def batch_number(self, number: int) -> int:
        """Number a batch of this process among those of all; no two processes share a batch or its noise."""
        return number * self.size + self.rank

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            distributed.barrier()

    def destroy(self) -> None:
        """Leave the group. Call after a success only: after a fault it could wait for the others for ever."""
        if self.size > 1:
            distributed.destroy_process_group()

    def all_reduce_mean(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.size
        means = flat.split([tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view_as(tensor))


def join_process_group() -> ProcessGroup:
    """Join the group that torchrun started this process in; without torchrun, a group of one."""
    if not distributed.is_torchelastic_launched():
        return ProcessGroup()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group()
    return ProcessGroup(distributed.get_rank(), distributed.get_world_size())
