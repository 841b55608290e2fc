"""Input pictures are normalized: upright, small enough, without metadata."""

from __future__ import annotations

import io
import os
from typing import Any

import pytest
from PIL import Image

from finetune_portal.accounts.models import User
from finetune_portal.datasets import library
from finetune_portal.datasets.models import Dataset
from finetune_portal.playground import inputs
from finetune_portal.playground.models import Input
from tests.people import make_dataset, make_job
from tests.playground.conftest import image

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def uploader(alice: User) -> User:
    return alice


def upload(data: bytes, name: str = "a.png") -> Input:
    return inputs.from_file(data, name, actor=User.objects.get())


def made_from(data: bytes) -> Image.Image:
    with Image.open(upload(data).path) as result:
        result.load()
        return result


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_each_kind_becomes_a_png(kind: str) -> None:
    result = made_from(image(kind))
    assert (result.format, result.mode, result.size) == ("PNG", "RGB", (48, 32))


def test_a_rotated_photo_is_upright_and_keeps_no_metadata() -> None:
    photo = Image.new("RGB", (40, 20), "teal")
    exif = photo.getexif()
    exif[0x0112], exif[0x010E] = 6, "a secret place"
    data = saved(photo, "JPEG", exif=exif)
    assert b"a secret place" in data
    result = upload(data, "photo.jpg")
    with Image.open(result.path) as picture:
        assert picture.size == (20, 40)
        assert not picture.getexif()
    assert b"a secret place" not in result.path.read_bytes()


def test_what_is_transparent_is_white() -> None:
    assert made_from(saved(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG")).getpixel((0, 0)) == (
        255,
        255,
        255,
    )


def test_a_large_one_is_made_smaller_and_a_heavy_one_a_jpeg() -> None:
    assert made_from(image(size=(5000, 1000))).size == (2048, 410)
    noise = Image.frombytes("RGB", (1200, 1200), os.urandom(3 * 1200**2))
    result = upload(saved(noise, "PNG"), "noise.png")
    assert result.kind == "jpeg"
    assert result.path.stat().st_size < 4_000_000


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "AVIF", "WEBP"])
def test_other_types_become_a_png(kind: str) -> None:
    result = upload(saved(Image.new("RGB", (40, 30), "red"), kind), "red")
    assert result.kind == "png"
    with Image.open(result.path) as made:
        assert made.size == (40, 30)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x89PNG\r\n\x1a\n", image()[:-30], b"%PDF-1.7"],
)
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(inputs.InvalidPictureError, match="not a readable picture"):
        made_from(data)


def test_too_many_pixels_are_refused() -> None:
    with pytest.raises(inputs.InvalidPictureError, match="too many pixels"):
        made_from(saved(Image.new("1", (9000, 9000)), "PNG"))


def test_the_same_picture_is_kept_once() -> None:
    assert upload(image(), "a.png") == upload(image(), "b.png")


def test_a_pair_whose_file_is_gone_says_so(alice: User, dataset: Dataset) -> None:
    other = make_dataset(alice)
    library.delete(other, actor=alice)
    with pytest.raises(inputs.InvalidPictureError, match="no longer has the file"):
        inputs.from_pair(other, 0, actor=alice, job=make_job(alice, dataset=other))
    job = make_job(alice, dataset=dataset)
    assert inputs.from_pair(dataset, 1, actor=alice, job=job).name == "Pair 02"
