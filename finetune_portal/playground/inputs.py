"""Make input pictures for generations, from an uploaded file or from the input image of a pair.

The picture is decoded in the checker's limited child: upright, in sRGB, on white where transparent.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from finetune_portal.datasets import checker
from finetune_portal.datasets.models import Dataset
from finetune_portal.playground.models import Generation, Input
from finetune_portal.storage.files import write_atomically

MAX_BYTES = 12_000_000
EDGE = 2048  # no model makes larger pictures
TOO_LARGE = "The picture is larger than 12 MB. Make it smaller."
FILE_MISSING = "The portal no longer has the file of this dataset. Choose a picture of your own."
MESSAGES = {
    "pixels": "The picture has too many pixels. Make it smaller, at most 50 megapixels.",
    "memory": "The picture needs too much memory. Make it smaller.",
    "missing": FILE_MISSING,
    "broken": "This is not a readable picture. Save it as JPEG or PNG and choose the new file.",
}


class InvalidPictureError(Exception):
    """The picture cannot be used. The text is a sentence for people."""


def from_file(data: bytes, name: str) -> Input:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return _saved(file.name, "", name=name[:255])


def from_pair(dataset: Dataset, number: int) -> Input:
    """The input image of a pair; `number` counts the pairs from 0."""
    pair = dataset.pairs[number]
    name = f"Pair {pair['index']}"[:255]
    return _saved(str(dataset.path), pair["start"], name=name, dataset=dataset, number=number)


def delete_unused(image: Input) -> None:
    """Delete an input picture unless a generation uses it."""
    if Generation.objects.filter(input=image).exists():
        return
    image.delete()
    image.path.unlink(missing_ok=True)


def _saved(source: str, member: str, **fields: object) -> Input:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "input"
        task = checker.PictureTask(source, member, str(target), EDGE, "input")
        (kind,) = checker.make_pictures([task])
        if kind in MESSAGES:
            raise InvalidPictureError(MESSAGES[kind])
        content = target.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    image, _ = Input.objects.get_or_create(sha256=sha256, defaults={"kind": kind, **fields})
    if not image.path.exists():
        with write_atomically(image.path) as file:
            file.write(content)
    return image
