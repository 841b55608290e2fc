"""How a GPU holds the weights of a base model: in bf16, or quantized where it is too small. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AUTO, FULL, INT8, SMALL = "auto", "full", "int8", "small"
WORDS = {FULL: "in bf16", INT8: "in 8 bits", SMALL: "in 4 bits"}
SPARE = 0.1  # of a GPU, which the needs leave to the display, to other processes and to their own error


@dataclass(frozen=True)
class Needs:
    """Gigabytes of a GPU for a step of one pair at 1024 pixels (docs/training.md, Memory)."""

    full: float
    int8: float
    small: float


TINY = Needs(full=0.0, int8=0.0, small=0.0)


def choose(memory: str, needs: Needs, card: float) -> str:
    """How to hold the weights on a GPU of `card` bytes: as asked, or for `auto` the first way that fits."""
    if memory != AUTO:
        return memory
    room = card / 1e9 * (1 - SPARE)
    return next((way for way in (FULL, INT8) if getattr(needs, way) <= room), SMALL)


def choose_to_resume(memory: str, checkpoint: Mapping[str, Any] | None) -> str:
    """What to ask for where a training goes on from a checkpoint, also on another card: how it began.

    In 4 bits it has an 8-bit optimizer, and neither that nor AdamW reads the other's state. A checkpoint of
    an earlier release does not say it, but its optimizer does.
    """
    if memory != AUTO or checkpoint is None:
        return memory
    if "memory" in checkpoint:
        return str(checkpoint["memory"])
    states = checkpoint["optimizer"]["state"].values()
    return AUTO if all("exp_avg" in each for each in states) else SMALL
