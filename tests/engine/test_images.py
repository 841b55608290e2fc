"""How the engine reads pixels: upright, sRGB, 8 bits, on white, the first frame; and to the end."""

from __future__ import annotations

import pytest
from PIL import Image

from finetune_portal.engine.images import pixels
from finetune_portal.engine.images.errors import ImageError
from tests.pictures import (
    GREY,
    GREY_ALPHA,
    RGB,
    RGBA,
    encoded,
    png16,
    profile,
    turned,
    with_metadata,
)

SIZE = (24, 16)
RED = (230, 40, 40)
MIDDLE = 32768  # of 16 bits


def pixel(content: bytes) -> tuple[int, ...]:
    pixels.check(content)
    image = pixels.decode(content)
    assert image.mode == "RGB"
    return tuple(image.getpixel((5, 5)))


def animation() -> bytes:
    frames = [Image.new("RGB", SIZE, colour) for colour in (RED, "blue", "green")]
    return encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)


def palette(**options: object) -> bytes:
    image = Image.new("P", SIZE, 1)
    image.putpalette([0, 0, 0, *RED])
    return encoded(image, **options)


@pytest.mark.parametrize(
    ("content", "shows"),
    [
        (encoded(Image.new("RGB", SIZE, RED)), RED),
        (encoded(Image.new("RGBA", SIZE, (*RED, 0))), (255, 255, 255)),
        (encoded(Image.new("RGBA", SIZE, (*RED, 128))), (242, 147, 147)),
        (encoded(Image.new("LA", SIZE, (100, 0))), (255, 255, 255)),
        (encoded(Image.new("L", SIZE, 100)), (100, 100, 100)),
        (encoded(Image.new("1", SIZE, 0)), (0, 0, 0)),
        (palette(), RED),
        (palette(transparency=1), (255, 255, 255)),
        (palette(transparency=bytes([255, 128])), (242, 147, 147)),
        (encoded(Image.new("CMYK", SIZE, (0, 255, 255, 0)), "JPEG"), (254, 0, 0)),
        (animation(), RED),
        (png16(GREY, SIZE, [MIDDLE]), (128, 128, 128)),
        (png16(GREY, SIZE, [MIDDLE], [MIDDLE]), (255, 255, 255)),
        (png16(GREY, SIZE, [MIDDLE], [MIDDLE + 1]), (128, 128, 128)),
        (png16(GREY_ALPHA, SIZE, [MIDDLE, 0]), (255, 255, 255)),
        (png16(RGB, SIZE, [MIDDLE, 0, 65535]), (128, 0, 255)),
        (png16(RGB, SIZE, [MIDDLE, 0, 65535], [MIDDLE, 0, 65535]), (255, 255, 255)),
        (png16(RGBA, SIZE, [MIDDLE, 0, 65535, 65535]), (128, 0, 255)),
    ],
)
def test_every_mode_is_read_as_it_looks(content: bytes, shows: tuple[int, int, int]) -> None:
    assert pixel(content) == pytest.approx(shows, abs=1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_colour_profile_is_followed(kind: str) -> None:
    """In the wide primaries of the profile, this duller red is the red of the other pictures."""
    image = Image.new("RGB", SIZE, (197, 39, 43))
    assert pixel(encoded(image, kind, icc_profile=profile(), quality=95)) == pytest.approx(RED, abs=6)


def test_the_profile_of_a_grey_picture_is_followed() -> None:
    grey = encoded(Image.new("L", SIZE, 100), icc_profile=profile(1.0, b"GRAY"))
    assert pixel(grey) == pytest.approx((168, 168, 168), abs=2)


@pytest.mark.parametrize("icc", [b"no profile", profile()[:200], profile(1.0, b"GRAY")])
def test_a_profile_that_does_not_fit_is_ignored(icc: bytes) -> None:
    assert pixel(encoded(Image.new("RGB", SIZE, RED), icc_profile=icc)) == RED


def test_transparency_stays_beside_a_profile() -> None:
    assert pixel(encoded(Image.new("RGBA", SIZE, (*RED, 0)), icc_profile=profile())) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_turns_the_picture(kind: str) -> None:
    assert pixels.decode(turned(Image.new("RGB", SIZE), kind)).size == (16, 24)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_exif_that_cannot_be_read_turns_nothing() -> None:
    content = encoded(Image.new("RGB", SIZE, RED), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\xff\xff")
    pixels.check(content)
    assert pixels.decode(content).size == SIZE


def noise(kind: str, **options: object) -> bytes:
    return encoded(Image.effect_noise((400, 300), 80).convert("RGB"), kind, **options)


@pytest.mark.parametrize(
    "whole", [noise("JPEG"), noise("JPEG", progressive=True), noise("PNG"), noise("WEBP", lossless=True)]
)
def test_a_picture_that_ends_early_is_damaged(whole: bytes) -> None:
    pixels.check(whole)
    for share in (0.5, 0.9, 0.99):
        with pytest.raises(ImageError, match="is damaged|is not a readable"):
            pixels.check(whole[: int(len(whole) * share)])


def test_large_metadata_is_no_fault() -> None:
    assert pixel(with_metadata(encoded(Image.new("RGB", SIZE, RED), "JPEG", quality=100))) == pytest.approx(
        RED, abs=3
    )
    image = Image.new("RGB", SIZE, RED)
    assert pixel(encoded(image, icc_profile=profile().ljust(2 * 1024**2, b"\0"))) == pytest.approx(
        (255, 38, 36), abs=3
    )


def test_what_is_no_picture_and_what_is_too_large() -> None:
    with pytest.raises(ImageError, match="is not a readable JPEG, PNG or WebP image"):
        pixels.check(encoded(Image.new("RGB", SIZE), "GIF"))
    with pytest.raises(ImageError, match="is too large: 24 x 16 pixels"):
        pixels.check(encoded(Image.new("RGB", SIZE)), max_pixels=383)
