"""What one picture is: its true type, its size as people see it, and what a trainer may stumble over."""

from __future__ import annotations

import io
import struct
import zlib
from typing import NamedTuple

from PIL import ExifTags, Image

from finetune_portal.datasets.checker import plain_png

FORMATS = ("JPEG", "PNG", "WEBP")
SUFFIXES = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "WEBP": (".webp",)}
MAX_BYTES = 100_000_000
MAX_PIXELS = 50_000_000
DECODE_PIXELS = 25_000_000
SMALL = 256

BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)


class Picture(NamedTuple):
    """`kind` is of FORMATS, `size` is (width, height), `notes` are kinds of findings, in order."""

    kind: str
    size: tuple[int, int]
    notes: list[str]


UNSEEN = Picture("", (0, 0), [])


class Unusable(Exception):
    """No trainer can use this picture; the argument is the kind of finding."""


def look(data: io.BytesIO, *, decode: bool) -> Picture:
    """Read the header; with `decode`, every pixel of a picture of usual size. Raises Unusable."""
    if decode and (size := plain_png.size(data.getvalue())):
        return Picture("PNG", size, ["tiny"] if min(size) < SMALL else [])
    try:
        with Image.open(data, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise Unusable("pixels")
            notes = _notes(image)
            decode = decode and width * height <= DECODE_PIXELS
            if decode:
                image.draft("RGB", (SMALL, SMALL))
                image.load()
                notes += ["see-through"] if _is_see_through(image) else []
            turned = _orientation(image) if image.info and (decode or image.format != "PNG") else 1
            notes += ["turned"] if 2 <= turned <= 8 else []
            size = (height, width) if 5 <= turned <= 8 else (width, height)
            kind = "JPEG" if image.format == "MPO" else str(image.format)
            return Picture(kind, size, sorted(notes))
    except Image.DecompressionBombError:
        raise Unusable("pixels") from None
    except MemoryError:
        raise Unusable("memory") from None
    except BROKEN:
        raise Unusable("broken") from None


def _notes(image: Image.Image) -> list[str]:
    found = {
        "tiny": min(image.size) < SMALL,
        "animated": image.format != "MPO" and getattr(image, "is_animated", False),
        "print colours": image.mode == "CMYK",
        "16 bit": image.mode.startswith("I") or image.mode == "F",
    }
    return [note for note, is_so in found.items() if is_so]


def _orientation(image: Image.Image) -> int:
    """As EXIF has it. Of a PNG this opens every pixel, for the note may stand behind them."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except BROKEN:
        return 1
    return found if isinstance(found, int) else 1


def _is_see_through(image: Image.Image) -> bool:
    if not image.has_transparency_data:
        return False
    lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
    return isinstance(lowest, int) and lowest < 255
