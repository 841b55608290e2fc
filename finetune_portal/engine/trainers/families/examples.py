"""One example of a dataset: as images, and as the tensors that a transformer takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Example:
    """A pair and its instruction. Both images have the size of the pair's bucket."""

    name: str
    control: Image.Image
    target: Image.Image
    instruction: str


class Batch(NamedTuple):
    """Encoded examples of one size. Latents are (count, channels, height, width)."""

    targets: Tensor
    controls: Tensor
    prompts: Tensor  # (count, tokens, width), of the text encoder that reads the whole instruction
    pooled: Tensor  # (count, width), one vector for an instruction
