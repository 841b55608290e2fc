"""Read an image: its true format, its size as people see it, and what may disturb a training."""

from __future__ import annotations

import io
import struct
import zlib
from typing import NamedTuple

from PIL import ExifTags, Image

FORMATS = ("JPEG", "PNG", "WEBP")
SUFFIXES = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "WEBP": (".webp",)}
MAX_BYTES = 100_000_000
MAX_PIXELS = 50_000_000
DECODE_PIXELS = 25_000_000
SMALL = 256

# What Pillow raises for damaged images.
IMAGE_ERRORS = (
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


class ImageInfo(NamedTuple):
    """`format` is one of FORMATS, `size` is (width, height), `notes` are finding types, sorted."""

    format: str
    size: tuple[int, int]
    notes: list[str]


NOT_READ = ImageInfo("", (0, 0), [])


class UnusableImageError(Exception):
    """No trainer can use this image. The argument is the finding type."""


def inspect_image(data: io.BytesIO, *, decode: bool) -> ImageInfo:
    """Read the header and, with `decode`, the pixels up to DECODE_PIXELS. Raises UnusableImageError."""
    try:
        with Image.open(data, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnusableImageError("pixels")
            notes = _notes(image)
            decode = decode and width * height <= DECODE_PIXELS
            if decode:
                image.draft("RGB", (SMALL, SMALL))
                image.load()
                notes += ["transparent"] if _is_transparent(image) else []
            # The EXIF of a PNG may follow its pixels, so reading it means decoding them.
            orientation = _orientation(image) if image.info and (decode or image.format != "PNG") else 1
            notes += ["rotated"] if 2 <= orientation <= 8 else []
            size = (height, width) if 5 <= orientation <= 8 else (width, height)
            return ImageInfo("JPEG" if image.format == "MPO" else str(image.format), size, sorted(notes))
    except Image.DecompressionBombError:
        raise UnusableImageError("pixels") from None
    except MemoryError:
        raise UnusableImageError("memory") from None
    except IMAGE_ERRORS:
        raise UnusableImageError("broken") from None


def _notes(image: Image.Image) -> list[str]:
    notes = {
        "tiny": min(image.size) < SMALL,
        "animated": image.format != "MPO" and getattr(image, "is_animated", False),
        "cmyk": image.mode == "CMYK",
        "16 bit": image.mode.startswith("I") or image.mode == "F",
    }
    return [note for note, applies in notes.items() if applies]


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, if there is none or it cannot be read."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except IMAGE_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _is_transparent(image: Image.Image) -> bool:
    if not image.has_transparency_data:
        return False
    lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
    return isinstance(lowest, int) and lowest < 255
