"""Makes a picture to try models on, of a file that a person brought or of a pair's control image."""

from __future__ import annotations

import hashlib
import io
import zipfile

from PIL import Image, ImageOps

from finetune_portal.datasets import checker
from finetune_portal.datasets.models import Dataset
from finetune_portal.playground.models import Generation, Input

MAX_BYTES = 12_000_000
EDGE = 2048  # no model makes larger ones
HEAVY = 4_000_000  # a PNG of more bytes becomes a JPEG
SENTENCES = {
    "pixels": "The picture has too many pixels. Make it smaller, at most 50 megapixels.",
    "memory": "The picture takes too much memory. Make it smaller.",
    "broken": "This is not a readable JPEG, PNG or WebP. Save it anew and choose it again.",
}
TOO_HEAVY = "The picture is larger than 12 MB. Make it smaller."
GONE = "The portal no longer has the file of this dataset. Choose a picture of your own."


class BadPicture(Exception):
    """What is wrong with it, in a sentence."""


def of_file(data: bytes, name: str) -> Input:
    return _kept(data, name=name[:255])


def of_pair(dataset: Dataset, number: int) -> Input:
    """`number` counts the pairs from 0."""
    pair = dataset.pairs[number]
    try:
        with zipfile.ZipFile(dataset.path) as archive:
            if archive.getinfo(pair["start"]).file_size > checker.MAX_BYTES:
                raise BadPicture(TOO_HEAVY)
            data = archive.read(pair["start"])
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile):
        raise BadPicture(GONE) from None
    return _kept(data, name=f"Pair {pair['index']}"[:255], dataset=dataset, number=number)


def delete_unused(image: Input) -> None:
    """Delete an input picture unless a generation uses it."""
    if Generation.objects.filter(input=image).exists():
        return
    image.delete()
    image.path.unlink(missing_ok=True)


def _kept(data: bytes, **fields: object) -> Input:
    try:
        checker.inspect_image(io.BytesIO(data), decode=True)
        content, kind = _normal(data)
    except checker.UnusableImageError as exc:
        raise BadPicture(SENTENCES.get(str(exc), SENTENCES["broken"])) from None
    except (MemoryError, Image.DecompressionBombError):
        raise BadPicture(SENTENCES["memory"]) from None
    except checker.IMAGE_ERRORS:
        raise BadPicture(SENTENCES["broken"]) from None
    sha256 = hashlib.sha256(content).hexdigest()
    found, _ = Input.objects.get_or_create(sha256=sha256, defaults={"kind": kind, **fields})
    if not found.path.exists():
        found.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = found.path.with_name(f".{found.path.name}.part")
        draft.write_bytes(content)
        draft.replace(found.path)
    return found


def _normal(data: bytes) -> tuple[bytes, str]:
    """Upright, on white where it is transparent, at most EDGE wide and high, and nothing but the picture."""
    with Image.open(io.BytesIO(data), formats=checker.FORMATS) as image:
        image.draft("RGB", (EDGE, EDGE))
        picture = ImageOps.exif_transpose(image)
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        picture = picture.convert("RGB")
    picture.thumbnail((EDGE, EDGE))
    plain = Image.new("RGB", picture.size)
    plain.paste(picture)  # without the EXIF, the colour profile and the comments that came along
    if len(content := _saved(plain, "PNG")) <= HEAVY:
        return content, "png"
    return _saved(plain, "JPEG", quality=95, subsampling=0), "jpeg"


def _saved(picture: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
