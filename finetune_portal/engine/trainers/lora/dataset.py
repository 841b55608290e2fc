"""The dataset of a training: pairs as images in buckets, and the batches of an epoch."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from PIL import Image, ImageOps

from finetune_portal.engine import datasets
from finetune_portal.engine.datasets import DatasetError, Pair
from finetune_portal.engine.images import pixels
from finetune_portal.engine.images.errors import ImageError
from finetune_portal.engine.trainers.families.examples import Example, Size

Sizes = tuple[Size, ...]  # of the images of an example; a batch has examples of the same


def load_examples(
    pairs: Iterable[Pair],
    *,
    resolution: int,
    multiple: int,
    most_area: float = math.inf,
    why_not: Callable[[Size], str] = lambda _size: "",
    input_size: Callable[[Size], Size] = lambda bucket: bucket,
) -> Iterator[Example]:
    """Decode the images of each pair, when it is its turn, and fit them.

    The first input image has the bucket of the target, whose pixels it shows before the edit; each further
    one has the bucket of its own shape. `why_not` says why a base model does not take an image of a size,
    and `input_size` in which it is shown an input image of a bucket.
    One image at a time is in memory in its full size, which takes up to 3 GB (docs/threat-model.md).
    """

    def fitted(
        encoded: datasets.Image, size: Size | None = None, shown: Callable[[Size], Size] = input_size
    ) -> Image.Image:
        image = _decode(encoded)
        size = size or bucket_size(image.size, resolution=resolution, multiple=multiple, most_area=most_area)
        if reason := why_not(size):
            said = f"{encoded.name} would be trained in {size[0]} x {size[1]} pixels, but {reason}."
            raise DatasetError(said)
        return ImageOps.fit(image, shown(size), Image.Resampling.LANCZOS)

    for pair in pairs:
        target = fitted(pair.target, shown=lambda bucket: bucket)
        first, *further = pair.controls
        controls = (fitted(first, target.size), *map(fitted, further))
        yield Example(pair.name, controls, target, pair.instruction)


def bucket_size(size: Size, *, resolution: int, multiple: int, most_area: float = math.inf) -> Size:
    """The size in which an image is trained: about `resolution` squared in area, sides of a `multiple`.

    The aspect ratio stays as near as the multiple allows. A smaller image is not enlarged. Where rounding
    exceeds `most_area`, the longer side gives way.
    """
    scale = min(1.0, resolution / math.sqrt(size[0] * size[1]))
    width, height = (max(multiple, round(side * scale / multiple) * multiple) for side in size)
    while width * height > most_area:
        if width > height:
            width -= multiple
        else:
            height -= multiple
    return width, height


def _decode(image: datasets.Image) -> Image.Image:
    try:
        return pixels.decode(image.content)
    except ImageError as error:
        raise DatasetError(f"{image.name} {error}") from None


def batches_per_epoch(sizes: Sequence[Sizes], *, batch_size: int) -> int:
    return sum(-(-count // batch_size) for count in Counter(sizes).values())


def epoch_batches(sizes: Sequence[Sizes], *, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of one epoch as indices of examples: each once, equal sizes in a batch, shuffled."""
    shuffler = random.Random(f"{seed}/{epoch}")  # nosec B311  # an order, no secret
    buckets: dict[Sizes, list[int]] = defaultdict(list)
    for index, size in enumerate(sizes):
        buckets[size].append(index)
    batches = []
    for indices in buckets.values():
        shuffler.shuffle(indices)
        batches += [indices[at : at + batch_size] for at in range(0, len(indices), batch_size)]
    shuffler.shuffle(batches)
    return batches
