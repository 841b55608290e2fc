"""Read an image to its end: its true type, its size as people see it, and what may disturb a training."""

from __future__ import annotations

import zlib
from typing import IO, NamedTuple

from finetune_portal.datasets.checker import accepted, pixels
from finetune_portal.datasets.checker.pixels import IMAGE_ERRORS, STRIP

SUFFIXES = {each.name: each.endings for each in accepted.PICTURES}


class ImageInfo(NamedTuple):
    """`format` is a name of the table `accepted`, `size` is (width, height), `notes` are finding types.

    `profile` names a colour profile that is not sRGB. `pixels` is a checksum of the pixels, 0 if there is
    none: a JPEG is decoded at a fraction of its size.
    """

    format: str
    size: tuple[int, int]
    notes: list[str]
    profile: str = ""
    pixels: int = 0


class UnusableImageError(Exception):
    """No trainer can use this image. The argument is the finding type."""


def inspect_image(data: IO[bytes]) -> ImageInfo:
    """Decode the first frame to its end. Raises UnusableImageError."""
    try:
        with pixels.open_picture(data) as image:
            return _inspect(image)
    except pixels.TOO_LARGE_ERRORS:
        raise UnusableImageError("pixels") from None
    except MemoryError:
        raise UnusableImageError("memory") from None
    except IMAGE_ERRORS:
        raise UnusableImageError("broken") from None


def _inspect(image: pixels.Picture) -> ImageInfo:
    kind, size = str(image.format), image.size
    notes = _notes(image)
    profile = pixels.profile_name(image)
    if kind in ("JPEG", "MPO"):
        image.draft("RGB", (accepted.SMALL, accepted.SMALL))
    image.load()
    notes += ["transparent"] if pixels.is_transparent(image) else []
    turn = pixels.orientation(image)  # after the pixels, which the EXIF of a PNG may follow
    notes += ["rotated"] if turn > 1 else []
    size = size[::-1] if turn >= 5 else size
    is_jpeg = kind in ("JPEG", "MPO")
    checksum = 0 if is_jpeg else _checksum(image)
    return ImageInfo("JPEG" if is_jpeg else kind, size, sorted(notes), profile, checksum)


def _notes(image: pixels.Picture) -> list[str]:
    notes = {
        "tiny": min(image.size) < accepted.SMALL,
        "animated": image.format != "MPO" and getattr(image, "is_animated", False),
        "cmyk": image.mode == "CMYK",
        "16 bit": pixels.is_deep(image),
    }
    return [note for note, applies in notes.items() if applies]


def _checksum(image: pixels.Picture) -> int:
    """One number for equal pixels in the same mode; never 0."""
    checksum = zlib.crc32(image.mode.encode())
    for top in range(0, image.height, STRIP):
        strip = image.crop((0, top, image.width, min(image.height, top + STRIP)))
        checksum = zlib.crc32(strip.tobytes(), checksum)
    return checksum or 1
