"""One example of a dataset: as images, and as the tensors that a transformer takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

Size = tuple[int, int]  # width and height in pixels


@dataclass(frozen=True)
class Example:
    """A pair and its instruction. The first input image has the shape of the target, the pair's bucket."""

    name: str
    controls: tuple[Image.Image, ...]
    target: Image.Image
    instruction: str

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Of the target and of each input image: all examples of a batch have the same."""
        return (self.target.size, *(each.size for each in self.controls))


@dataclass(frozen=True)
class Batch:
    """Encoded examples of the same sizes. Latents are (count, channels, height, width)."""

    targets: Tensor
    controls: tuple[Tensor, ...]  # one for each input image of a pair
    text: Mapping[str, Tensor]  # what the family makes of an instruction; the first axis counts the examples

    def to(self, device: torch.device) -> Batch:
        return Batch(
            self.targets.to(device),
            tuple(each.to(device) for each in self.controls),
            {name: each.to(device) for name, each in self.text.items()},
        )

    @classmethod
    def concatenate(cls, batches: Sequence[Batch]) -> Batch:
        return cls(
            torch.cat([each.targets for each in batches]),
            tuple(torch.cat(parts) for parts in zip(*(each.controls for each in batches), strict=True)),
            {name: _padded([each.text[name] for each in batches]) for name in batches[0].text},
        )


def _padded(texts: Sequence[Tensor]) -> Tensor:
    """Concatenate tensors whose second axes may be unlike, such as tokens, with zeros behind."""
    longest = max(each.shape[1] for each in texts)
    return torch.cat(
        [
            torch.cat([each, each.new_zeros(len(each), longest - each.shape[1], *each.shape[2:])], 1)
            for each in texts
        ]
    )
