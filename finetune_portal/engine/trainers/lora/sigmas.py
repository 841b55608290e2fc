"""Which sigmas a training draws, and how its loss at fixed sigmas counts for a sample.

A schedule shifts sigmas that lie evenly between 0 (the image) and 1 (noise): most steps of a sample are at
high noise. Families know the shift of their schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Shift = Callable[[Tensor, int], Tensor]  # even sigmas, and how many tokens the target has, to shifted ones
VALIDATION_SIGMAS = tuple((index + 0.5) / 8 for index in range(8))


def draw_sigmas(sampling: str, even: Tensor, tokens: int, shift: Shift) -> Tensor:
    """Sigmas from numbers that are spread evenly between 0 and 1.

    `sampling`: `shifted` as in a sample, `uniform`, or `logit_normal` (the sigmoid of a normal number).
    """
    if sampling == "shifted":
        return shift(even, tokens)
    if sampling == "logit_normal":
        return torch.special.ndtri(even).sigmoid()
    return even


def schedule_weights(tokens: int, shift: Shift) -> list[float]:
    """The share of a sample's steps that lie around each validation sigma. The sum is 1."""
    parts = len(VALIDATION_SIGMAS)
    even = (torch.arange(1000) + 0.5) / 1000
    shares = torch.histc(shift(even, tokens), bins=parts, min=0.0, max=1.0) / len(even)
    return [float(share) for share in shares]


def weighted(losses: Sequence[float], weights: Sequence[float]) -> float:
    return sum(loss * weight for loss, weight in zip(losses, weights, strict=True))
