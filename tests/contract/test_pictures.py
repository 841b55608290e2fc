"""The portal's check and the engine see the same pixels in pictures that decoders read in different ways."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from PIL import Image

from finetune_portal.datasets.checker.images import inspect_image
from finetune_portal.datasets.checker.pixels import open_picture, plain
from finetune_portal.engine.images import pixels
from tests.pictures import GREY, RGB, encoded, in_adobe_rgb, png, profile, stating

SIZE = (260, 257)
WHITE = (255, 255, 255)
# The bits of a channel, the colour type, a pixel, and what it shows where another one is transparent.
SHADES = {
    "1 bit": (1, GREY, [0], (0, 0, 0)),
    "2 bits": (2, GREY, [1], (85, 85, 85)),
    "4 bits": (4, GREY, [3], (51, 51, 51)),
    "8 bits": (8, GREY, [3], (3, 3, 3)),
    "16 bits": (16, GREY, [3 * 257], (3, 3, 3)),
    "colours": (8, RGB, [3, 4, 5], (3, 4, 5)),
    "colours of 16 bits": (16, RGB, [3 * 257, 4 * 257, 5 * 257], (3, 4, 5)),
}


@pytest.mark.parametrize("name", SHADES)
def test_a_transparent_shade_is_white(name: str) -> None:
    depth, colour, pixel, shown = SHADES[name]
    other = [0 if value else 1 for value in pixel]
    for transparent, seen in ((pixel, WHITE), (other, shown)):
        content = png(depth, colour, SIZE, pixel, transparent)
        with open_picture(BytesIO(content)) as image:
            assert plain(image).getpixel((9, 9)) == seen
        assert pixels.decode(content).getpixel((9, 9)) == seen
        assert ("transparent" in inspect_image(BytesIO(content)).notes) == (seen == WHITE)


SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
ADOBE_POINTS = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
COLOUR, SAME = (200, 100, 50), ((200, 100, 50), "")


def gamma(value: int, points: tuple[int, ...] = ()) -> bytes:
    chunks = {"gAMA": struct.pack(">I", value)}
    if points:
        chunks["cHRM"] = struct.pack(f">{len(points)}I", *points)
    return stating(encoded(Image.new("RGB", SIZE, COLOUR)), **chunks)


def coded(*numbers: int, **more: bytes) -> bytes:
    return stating(encoded(Image.new("RGB", SIZE, COLOUR)), cICP=bytes((*numbers, 0, 1)), **more)


def tagged(*numbers: int) -> bytes:
    """With the profile of Adobe RGB, and perhaps a cICP chunk before it."""
    content = encoded(Image.new("RGB", SIZE, COLOUR), icc_profile=profile(563 / 256))
    return stating(content, cICP=bytes((*numbers, 0, 1))) if numbers else content


# What a picture shows whose pixels are COLOUR, and what the check calls its colour space.
STATED = {
    "gAMA of sRGB": (gamma(45455), *SAME),
    "gAMA and cHRM of sRGB": (gamma(45455, SRGB_POINTS), *SAME),
    "gAMA of an old Mac": (gamma(55556), (210, 119, 65), "gAMA 0.556 of the PNG"),
    "linear gAMA": (gamma(100_000), (229, 168, 122), "gAMA 1 of the PNG"),
    "cHRM of Adobe RGB": (gamma(45455, ADOBE_POINTS), (226, 100, 46), "gAMA 0.455 and cHRM of the PNG"),
    "no gamma": (gamma(0), *SAME),
    "primaries on a line": (gamma(45455, (31270, 32900) * 4), *SAME),
    "primaries without height": (gamma(45455, (0,) * 8), *SAME),
    "sRGB before gAMA": (stating(gamma(55556), sRGB=b"\0"), *SAME),
    "Display P3": (coded(12, 13), (215, 93, 31), "Display P3, transfer of sRGB"),
    "HDR": (coded(9, 16), (255, 57, 0), "BT.2020, HDR (PQ)"),
    "cICP of sRGB before gAMA": (coded(1, 13, gAMA=struct.pack(">I", 55556)), *SAME),
    "cICP of sRGB before a profile": (tagged(1, 13), *SAME),
    "cICP without a meaning": (coded(2, 2), *SAME),
    "a profile before gAMA": (
        stating(tagged(), gAMA=struct.pack(">I", 55556)),
        (227, 100, 42),
        "a test profile",
    ),
    "grey": (
        stating(encoded(Image.new("L", SIZE, 100)), gAMA=struct.pack(">I", 55556)),
        (119, 119, 119),
        "gAMA 0.556 of the PNG",
    ),
    "a palette": (
        stating(encoded(Image.new("RGB", SIZE, COLOUR).quantize(4)), gAMA=struct.pack(">I", 55556)),
        (210, 119, 65),
        "gAMA 0.556 of the PNG",
    ),
    "Adobe RGB in EXIF": (
        in_adobe_rgb(Image.new("RGB", SIZE, COLOUR)),
        (227, 100, 42),
        "Adobe RGB by its EXIF data",
    ),
    "Adobe RGB in EXIF of a WebP": (
        in_adobe_rgb(Image.new("RGB", SIZE, COLOUR), "WEBP"),
        (227, 100, 42),
        "Adobe RGB by its EXIF data",
    ),
    "sRGB in EXIF": (in_adobe_rgb(Image.new("RGB", SIZE, COLOUR), index="R98", space=1), *SAME),
}


@pytest.mark.parametrize("name", STATED)
def test_colours_that_no_icc_profile_states_are_shown(name: str) -> None:
    content, shown, space = STATED[name]
    with open_picture(BytesIO(content)) as image:
        assert plain(image).getpixel((9, 9)) == pytest.approx(shown, abs=3)
    assert pixels.decode(content).getpixel((9, 9)) == pytest.approx(shown, abs=3)
    pixels.check(content)
    assert inspect_image(BytesIO(content)).profile == space


@pytest.mark.parametrize("numbers", [(12, 13), (9, 16), (9, 18), (9, 1), (5, 4), (6, 5), (11, 8)])
def test_both_read_coded_colours_alike(numbers: tuple[int, int]) -> None:
    for colour in ((0, 0, 0), (255, 255, 255), (12, 140, 250), (90, 30, 160), (128, 128, 128)):
        content = stating(encoded(Image.new("RGB", SIZE, colour)), cICP=bytes((*numbers, 0, 1)))
        with open_picture(BytesIO(content)) as image:
            assert plain(image).getpixel((9, 9)) == pytest.approx(
                pixels.decode(content).getpixel((9, 9)), abs=2
            )
