"""Decode foreign images, in child processes only: in that of decoder.py, and in those of the trainers.

`decode` is the one reading of pixels: upright, sRGB, 8 bits, flattened on white, the first frame.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import Image, ImageCms, ImageFile, ImageOps, PngImagePlugin

from finetune_portal.engine.images import stated_colours
from finetune_portal.engine.images.errors import ImageError
from finetune_portal.engine.images.limits import MAX_PIXELS

FORMATS = ("JPEG", "PNG", "WEBP")  # under any name of the three: the vendor's own sample has a WebP as .jpg
METADATA_BYTES = (
    16 * 1024**2
)  # of one text or profile in a PNG; editors and node graphs exceed Pillow's 1 MiB

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
# 16 bits to 8: 0 to 0 and 65535 to 255, rounded.
TO_8_BITS = [(value + 128) // 257 for value in range(2**16)]

# What Pillow raises for damaged images.
_ERRORS = (
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

Image.MAX_IMAGE_PIXELS = None  # this module counts the pixels itself
PngImagePlugin.MAX_TEXT_CHUNK = METADATA_BYTES


def check(content: bytes, *, max_pixels: int = MAX_PIXELS) -> None:
    """Decode the image to its end. Raises ImageError for all that `decode` cannot read."""
    with _opened(content, max_pixels) as image:
        # A JPEG is decoded in an eighth of its size, which reads all of its data in less time and memory.
        image.draft("RGB", (1, 1))
        image.load()
        _to_rgb(image.crop((0, 0, 1, 1)))


def decode(content: bytes) -> Image.Image:
    """The image as RGB: upright, sRGB, 8 bits, on white where it is transparent. Raises ImageError."""
    with _opened(content, MAX_PIXELS) as image:
        return _to_rgb(_upright(image))


@contextmanager
def _opened(content: bytes, max_pixels: int) -> Iterator[Image.Image]:
    try:
        image = Image.open(BytesIO(content), formats=FORMATS)
    except _ERRORS:
        raise ImageError("is not a readable JPEG, PNG or WebP image.") from None
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(f"is too large: {width} x {height} pixels.")
    try:
        with image:
            _fit_transparency(image)
            image.info["icc_profile"] = stated_colours.profile_of(image, content)
            yield image
    except _ERRORS:
        raise ImageError("is damaged: its picture ends early or cannot be decoded.") from None


def _fit_transparency(image: ImageFile.ImageFile) -> None:
    """Bring the transparent shade of a PNG to 8 bits, as Pillow does with pixels of 2, 4 or 16 bits.

    Pillow keeps grey of 16 bits as it is, and its shade is left alone, too.
    """
    shade = image.info.get("transparency")
    stored_as = str(image.tile[0].args) if image.format == "PNG" and image.tile else ""
    if isinstance(shade, int) and stored_as in ("L;2", "L;4"):
        image.info["transparency"] = shade * {"L;2": 85, "L;4": 17}[stored_as]
    elif isinstance(shade, tuple) and stored_as == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in shade)


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data says. EXIF data that cannot be read turns nothing."""
    image.load()  # outside of `try`: that the pixels are damaged must be said
    try:
        return ImageOps.exif_transpose(image)
    except _ERRORS:
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    alpha = _alpha(image)
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        image = image.convert("I").point(TO_8_BITS, "L")
    colours = _to_srgb(_without_alpha(image), profile)
    if alpha is None:
        return colours
    return Image.composite(colours, Image.new("RGB", image.size, "white"), alpha)


def _alpha(image: Image.Image) -> Image.Image | None:
    """The opacity of each pixel, in 8 bits; None where all are opaque."""
    if not image.has_transparency_data:
        return None
    transparent = image.info.get("transparency")
    if image.mode.startswith("I") and isinstance(transparent, int):  # one shade of 16 bits
        return image.convert("I").point([255 * (value != transparent) for value in range(2**16)], "L")
    return image.convert("RGBA").getchannel("A")


def _without_alpha(image: Image.Image) -> Image.Image:
    """As L, RGB or CMYK, with the colours as they are."""
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    if image.mode in ("1", "LA"):
        return image.convert("L")
    return image.convert("RGBA").convert("RGB")  # in one step, Pillow would warn of a palette's transparency


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert from the embedded ICC profile. One that cannot be read, or is for another mode, is ignored."""
    if profile:
        try:
            transform = ImageCms.buildTransform(
                ImageCms.getOpenProfile(BytesIO(profile)),
                SRGB,
                image.mode,
                "RGB",
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            return ImageCms.applyTransform(image, transform) or image.convert("RGB")
        except (ImageCms.PyCMSError, *_ERRORS):
            pass
    return image.convert("RGB")
