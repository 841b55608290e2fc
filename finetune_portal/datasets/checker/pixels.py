"""The pixels of a picture as a trainer should see them. Runs in the limited child only.

Only this module of the portal imports Pillow. `plain` is the one reading for checks, previews, repairs and
inputs of the playground: upright, in sRGB, with 8 bits a channel, flattened on white, the first frame.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import IO, Any

import pillow_heif
from PIL import ExifTags, Image, ImageCms

from finetune_portal.datasets.checker import accepted, stated_colours

Picture = Image.Image
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
STRIP = 512  # rows converted at a time, so that few copies of a large picture are in memory
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SAME_COLOUR = 2  # steps of 255 that a profile may differ from sRGB and still be called sRGB
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
WIDENED = {"L;2": 85, "L;4": 17}  # Pillow's factor to 8 bits, by its name for such pixels
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I", "F")

pillow_heif.register_heif_opener(thumbnails=False)


class TooManyPixelsError(Exception):
    """The picture has more than MAX_PIXELS pixels; none was decoded."""


TOO_LARGE_ERRORS = (TooManyPixelsError, Image.DecompressionBombError)


def open_picture(data: IO[bytes]) -> Image.Image:
    """Open a picture of a type in `accepted.READABLE`. Raises TooManyPixelsError or one of IMAGE_ERRORS."""
    image = Image.open(data, formats=accepted.READABLE)
    if image.width * image.height > accepted.MAX_PIXELS:
        raise TooManyPixelsError
    if image.format == "PNG" and image.info.get("transparency") is not None:
        image.info["transparency"] = _as_decoded(image.info["transparency"], str(image.tile[0].args))
    stated = _stated_profile(image, data)
    if stated is not None:
        image.info["icc_profile"] = stated
    return image


def plain(image: Image.Image, factor: int = 1) -> Image.Image:
    """The pixels of `image` as RGB, where each stands for `factor` x `factor` of them; loads it.

    Raises one of IMAGE_ERRORS.
    """
    turn = orientation(image)
    image.load()
    convert = _converter(image)
    result = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    rows = max(1, STRIP // factor) * factor
    for top in range(0, image.height, rows):
        strip = convert(image.crop((0, top, image.width, min(image.height, top + rows))))
        result.paste(strip.reduce(factor) if factor > 1 else strip, (0, top // factor))
    return result.transpose(TURNS[turn]) if turn in TURNS else result


def shrink(data: IO[bytes], edge: int) -> Image.Image:
    """`plain`, at most `edge` pixels wide and high. Raises TooManyPixelsError or one of IMAGE_ERRORS."""
    with open_picture(data) as image:
        if image.mode != "CMYK":
            image.draft("RGB", (edge, edge))  # a JPEG is decoded at a fraction of its size
        small = plain(image, max(1, max(image.size) // (2 * edge)))
    small.thumbnail((edge, edge))
    return small


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file of the `kind`, such as “WEBP”, with Pillow's `options` for it."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, if there is none or it cannot be read."""
    if not image.info and image.format != "TIFF":
        return 1
    if image.format == "HEIF":
        return 1  # its reader turns it
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except IMAGE_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def profile_name(image: Image.Image) -> str:
    """The name of a colour profile that differs from sRGB; empty for sRGB, none or an unreadable one."""
    profile = _profile(image)
    return _foreign_name(profile, _profile_mode(image)) if profile else ""


def is_deep(image: Image.Image) -> bool:
    """Whether the picture has more than 8 bits a channel in a mode that others clip."""
    return image.mode in DEEP_MODES


def is_transparent(image: Image.Image) -> bool:
    """Whether a pixel of the loaded picture is not opaque."""
    if not image.has_transparency_data:
        return False
    for top in range(0, image.height, STRIP):
        strip = image.crop((0, top, image.width, min(image.height, top + STRIP)))
        lowest = _alpha(strip).getextrema()[0]
        if isinstance(lowest, int | float) and lowest < 255:
            return True
    return False


def _as_decoded(transparency: Any, raw_mode: str) -> Any:
    """The shade or colour of a PNG that counts as transparent, in the range to which Pillow decodes.

    Pillow widens grey of 2 and 4 bits to 8 bits and narrows colours of 16 bits, but leaves this value alone.
    """
    if raw_mode in WIDENED and isinstance(transparency, int):
        return transparency * WIDENED[raw_mode]
    if raw_mode == "RGB;16B" and isinstance(transparency, tuple):
        return tuple(value >> 8 for value in transparency)
    return transparency


def _alpha(strip: Image.Image) -> Image.Image:
    """The opacity of each pixel, in 8 bits."""
    shade = strip.info.get("transparency")
    if strip.mode in DEEP_MODES and isinstance(shade, int):
        return strip.convert("I").point(_opaque_but(shade), "L")
    return strip.convert("RGBA").getchannel("A")


@lru_cache(maxsize=4)
def _opaque_but(shade: int) -> list[int]:
    """The opacity of each shade of 16 bits, where one is transparent."""
    return [255 * (value != shade) for value in range(2**16)]


def _stated_profile(image: Image.Image, data: IO[bytes]) -> bytes | None:
    """What the picture states of its colours beside an ICC profile, as one; None where nothing counts."""
    mode = _profile_mode(image)
    if image.format == "PNG":
        at = data.tell()
        try:
            return stated_colours.of_png(data, mode, has_profile=bool(_profile(image)))
        finally:
            data.seek(at)
    if image.format not in ("JPEG", "MPO", "WEBP") or mode == "CMYK" or _profile(image):
        return None
    try:
        exif = image.getexif()
        interoperability = exif.get_ifd(ExifTags.IFD.Interop)
        return stated_colours.of_exif(exif.get_ifd(ExifTags.IFD.Exif), interoperability, mode)
    except IMAGE_ERRORS:
        return None


def _profile(image: Image.Image) -> bytes:
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) else b""


def _profile_mode(image: Image.Image) -> str:
    if image.mode in ("CMYK", "L"):
        return image.mode
    return "L" if image.mode in ("1", "LA", "La", *DEEP_MODES) else "RGB"


def _converter(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """A function from a strip of `image` to RGB."""
    mode = _profile_mode(image)
    profile = _profile(image)
    transform = _transform(profile, mode) if profile and _foreign_name(profile, mode) else None
    scale = _scale(image) if is_deep(image) else None

    def convert(strip: Image.Image) -> Image.Image:
        alpha = _alpha(strip) if image.has_transparency_data else None
        strip = scale(strip) if scale else strip
        strip = strip if strip.mode == mode else strip.convert("RGBA").convert("RGB").convert(mode)
        colours = ImageCms.applyTransform(strip, transform) if transform else strip.convert("RGB")
        if colours is None or alpha is None:
            return colours or strip.convert("RGB")
        white = Image.new("RGB", colours.size, "white")
        white.paste(colours, mask=alpha)
        return white

    return convert


def _scale(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """A function from a strip of more than 8 bits to 8 bits, where the full range stays the full range."""
    _, highest = image.getextrema()
    full = 255.0 if image.mode.startswith("I;16") else _full_range(float(highest), image.mode)  # type: ignore[arg-type]
    factor = 255 / 65535 if image.mode.startswith("I;16") else 255 / full

    def scale(strip: Image.Image) -> Image.Image:
        wide = strip.convert("I") if strip.mode.startswith("I;16") else strip
        return wide.convert("F").point(lambda value: value * factor + 0.5).convert("L")

    return scale


def _full_range(highest: float, mode: str) -> float:
    """White in a picture of 32 bits, whose range no field states."""
    ranges = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    return next((each for each in ranges if highest <= each), highest)


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            SRGB,
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, *IMAGE_ERRORS):
        return None


@lru_cache(maxsize=64)
def _foreign_name(profile: bytes, mode: str) -> str:
    """The name of `profile` if a transform to sRGB changes colours; empty if it does not or is unreadable."""
    transform = _transform(profile, mode)
    if transform is None:
        return ""
    sample = Image.frombytes("L", (256, 1), bytes(range(256)))
    if mode == "RGB":
        steps = (0, 51, 102, 153, 204, 255)
        cube = bytes(value for r in steps for g in steps for b in steps for value in (r, g, b))
        sample = Image.frombytes("RGB", (216, 1), cube)
    elif mode == "CMYK":
        return _name(profile)
    after = ImageCms.applyTransform(sample, transform)
    pairs = zip(sample.convert("RGB").tobytes(), after.tobytes() if after else b"", strict=False)
    return _name(profile) if max((abs(a - b) for a, b in pairs), default=0) > SAME_COLOUR else ""


def _name(profile: bytes) -> str:
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    except (ImageCms.PyCMSError, *IMAGE_ERRORS):
        name = ""
    return "".join(char for char in name if char.isprintable())[:60] or "an own profile"
