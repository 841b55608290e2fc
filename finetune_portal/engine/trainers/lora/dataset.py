"""The pairs of a dataset as pictures of one size each, and in which order a training sees them."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable
from io import BytesIO

from PIL import Image, ImageOps

from finetune_portal.engine.datasets import FORMATS, BrokenDataset, Pair
from finetune_portal.engine.trainers.families.examples import Example


def examples(pairs: Iterable[Pair], *, resolution: int, multiple: int) -> list[Example]:
    """Both pictures of a pair in its bucket: about `resolution` squared in area, each side a `multiple`."""
    found = []
    for pair in pairs:
        target = opened(pair.target_name, pair.target)
        size = bucket(target.size, resolution=resolution, multiple=multiple)
        control = opened(pair.control_name, pair.control)
        fitted = [ImageOps.fit(each, size, Image.Resampling.LANCZOS) for each in (control, target)]
        found.append(Example(pair.name, fitted[0], fitted[1], pair.instruction))
    return found


def bucket(size: tuple[int, int], *, resolution: int, multiple: int) -> tuple[int, int]:
    """Width and height, the aspect as near as the multiple allows; small pictures are not enlarged."""
    width, height = size
    scale = min(1.0, resolution / math.sqrt(width * height))
    return (
        max(multiple, round(width * scale / multiple) * multiple),
        max(multiple, round(height * scale / multiple) * multiple),
    )


def opened(name: str, content: bytes) -> Image.Image:
    """The whole picture, upright, on white where it is transparent."""
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            picture = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, SyntaxError, ValueError, EOFError):
        raise BrokenDataset(f"{name} is damaged: its picture ends early or cannot be decoded.") from None
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def batches(sizes: list[tuple[int, int]], *, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The numbers of the examples, each once, one size a batch, in an order of this epoch's own."""
    shuffler = random.Random(f"{seed}/{epoch}")  # nosec B311  # an order, no secret
    buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, size in enumerate(sizes):
        buckets[size].append(number)
    found = []
    for numbers in buckets.values():
        shuffler.shuffle(numbers)
        found += [numbers[at : at + batch_size] for at in range(0, len(numbers), batch_size)]
    shuffler.shuffle(found)
    return found
