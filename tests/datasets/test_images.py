"""What the checker reads of one image: its format, its size, and notes about what may disturb a training."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from finetune_portal.datasets.checker import accepted
from finetune_portal.datasets.checker.images import ImageInfo, UnusableImageError, inspect_image
from tests.examples import examples


def png(mode: str = "RGB", size: tuple[int, int] = (7, 5), **options: Any) -> bytes:
    return saved(Image.linear_gradient("L").resize(size).convert(mode), **options)


def saved(image: Image.Image, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG", **options)
    return data.getvalue()


def text_chunk() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", "Exif")
    return info


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
@pytest.mark.parametrize(
    "options", [{}, {"dpi": (72, 72)}, {"optimize": True}, {"compress_level": 0}, {"pnginfo": text_chunk()}]
)
def test_a_plain_png_has_no_note_but_its_size(mode: str, options: dict[str, Any]) -> None:
    data = io.BytesIO(png(mode, (256, 300), **options))
    assert inspect_image(data)._replace(pixels=0) == ImageInfo("PNG", (256, 300), [])
    data = io.BytesIO(png(mode, **options))
    assert inspect_image(data)._replace(pixels=0) == ImageInfo("PNG", (7, 5), ["tiny"])


NOTES = {
    "an opaque alpha channel": (png("RGBA"), []),
    "a transparent colour": (saved(Image.new("RGB", (7, 5)), transparency=(0, 0, 0)), ["transparent"]),
    "16 bits": (png("I;16"), ["16 bit"]),
    "an animation": (png(save_all=True, append_images=[Image.new("RGB", (7, 5))]), ["animated"]),
    "broken EXIF": (png(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0"), []),
    "EXIF that says upright": (
        png(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0"),
        [],
    ),
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("name", NOTES)
def test_what_may_disturb_a_training_is_noted(name: str) -> None:
    data, notes = NOTES[name]
    info = inspect_image(io.BytesIO(data))._replace(pixels=0)
    assert info == ImageInfo("PNG", (7, 5), sorted([*notes, "tiny"]))


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", png()[:-40], png()[:40]], ids=["none", "GIF", "cut", "head"]
)
def test_a_damaged_image_is_unusable(data: bytes) -> None:
    with pytest.raises(UnusableImageError, match="broken"):
        inspect_image(io.BytesIO(data))


@settings(max_examples=examples(400), deadline=None)
@given(data=st.data())
def test_one_wrong_byte_never_breaks_the_checker(data: st.DataObject) -> None:
    image = bytearray(png(dpi=(72, 72)))
    image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    with suppress(UnusableImageError):
        assert inspect_image(io.BytesIO(bytes(image))).format in accepted.READABLE
