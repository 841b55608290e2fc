"""The processes of one training, one a GPU, each with batches of its own. They move as one: by the mean of
their gradients. The first of them alone measures, writes and tells.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import torch
from torch import Tensor, distributed


class Group(NamedTuple):
    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def number(self, step: int) -> int:
        """Of this process's part of the step: no two processes draw the same, or see the same batch."""
        return step * self.size + self.rank

    def wait(self) -> None:
        """Until all have come here."""
        if self.size > 1:
            distributed.barrier()

    def leave(self) -> None:
        """At a good end only: after a fault the others may wait for this one for ever."""
        if self.size > 1:
            distributed.destroy_process_group()

    def average(self, tensors: list[Tensor]) -> None:
        """Each becomes the mean of what the processes have."""
        if self.size == 1:
            return
        flat = torch.cat([each.flatten() for each in tensors])
        distributed.all_reduce(flat)
        flat /= self.size
        for each, mean in zip(tensors, flat.split([each.numel() for each in tensors]), strict=True):
            each.copy_(mean.view_as(each))


def joined() -> Group:
    """The group that torchrun started this process in; a group of one where there was none."""
    if not distributed.is_torchelastic_launched():
        return Group()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group()
    return Group(distributed.get_rank(), distributed.get_world_size())
