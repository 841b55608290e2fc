"""Make input pictures for generations, from an uploaded file or from the input image of a pair."""

from __future__ import annotations

import hashlib
import io
import zipfile

from PIL import Image, ImageOps

from finetune_portal.datasets import checker
from finetune_portal.datasets.models import Dataset
from finetune_portal.playground.models import Generation, Input
from finetune_portal.storage.files import write_atomically

MAX_BYTES = 12_000_000
EDGE = 2048  # no model makes larger pictures
MAX_PNG_BYTES = 4_000_000  # a larger PNG becomes a JPEG
MESSAGES = {
    "pixels": "The picture has too many pixels. Make it smaller, at most 50 megapixels.",
    "memory": "The picture needs too much memory. Make it smaller.",
    "broken": "This is not a readable JPEG, PNG or WebP. Save it again and choose the new file.",
}
TOO_LARGE = "The picture is larger than 12 MB. Make it smaller."
FILE_MISSING = "The portal no longer has the file of this dataset. Choose a picture of your own."


class InvalidPictureError(Exception):
    """The picture cannot be used. The text is a sentence for people."""


def from_file(data: bytes, name: str) -> Input:
    return _saved(data, name=name[:255])


def from_pair(dataset: Dataset, number: int) -> Input:
    """The input image of a pair; `number` counts the pairs from 0."""
    pair = dataset.pairs[number]
    try:
        with zipfile.ZipFile(dataset.path) as archive:
            if archive.getinfo(pair["start"]).file_size > checker.MAX_BYTES:
                raise InvalidPictureError(TOO_LARGE)
            data = archive.read(pair["start"])
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile):
        raise InvalidPictureError(FILE_MISSING) from None
    return _saved(data, name=f"Pair {pair['index']}"[:255], dataset=dataset, number=number)


def delete_unused(image: Input) -> None:
    """Delete an input picture unless a generation uses it."""
    if Generation.objects.filter(input=image).exists():
        return
    image.delete()
    image.path.unlink(missing_ok=True)


def _saved(data: bytes, **fields: object) -> Input:
    try:
        checker.inspect_image(io.BytesIO(data), decode=True)
        content, kind = _normalized(data)
    except checker.UnusableImageError as exc:
        raise InvalidPictureError(MESSAGES.get(str(exc), MESSAGES["broken"])) from None
    except (MemoryError, Image.DecompressionBombError):
        raise InvalidPictureError(MESSAGES["memory"]) from None
    except checker.IMAGE_ERRORS:
        raise InvalidPictureError(MESSAGES["broken"]) from None
    sha256 = hashlib.sha256(content).hexdigest()
    image, _ = Input.objects.get_or_create(sha256=sha256, defaults={"kind": kind, **fields})
    if not image.path.exists():
        with write_atomically(image.path) as file:
            file.write(content)
    return image


def _normalized(data: bytes) -> tuple[bytes, str]:
    """The pixels alone: upright, on white where transparent, at most EDGE wide and high."""
    with Image.open(io.BytesIO(data), formats=checker.FORMATS) as image:
        image.draft("RGB", (EDGE, EDGE))
        picture = ImageOps.exif_transpose(image)
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        picture = picture.convert("RGB")
    picture.thumbnail((EDGE, EDGE))
    plain = Image.new("RGB", picture.size)
    plain.paste(picture)  # leaves EXIF, colour profile and comments behind
    if len(content := _encoded(plain, "PNG")) <= MAX_PNG_BYTES:
        return content, "png"
    return _encoded(plain, "JPEG", quality=95, subsampling=0), "jpeg"


def _encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
