"""One reading of pixels: upright, in sRGB, with 8 bits, on white, the first frame; repairs write it."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from finetune_portal.datasets import checker, decoding
from finetune_portal.datasets.checker import pixels, sandbox
from finetune_portal.datasets.checker.images import UnusableImageError, inspect_image
from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.datasets.checker.repair import repair
from tests.datasets.corpus.zip_builder import dataset, packed, picture
from tests.pictures import in_adobe_rgb, stating

TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
# 64 x 64 pixels of (200, 40, 60), as a phone saves them.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAVZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ACJpbG9jAAAAAERAAAEAAQAAAAABegABAAAAAAAAABwAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRt"
    "AAAAAAABAAAA1mlwcnAAAAC3aXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMA"
    "AAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqSSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABNjb2xy"
    "bmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAABBwaXhpAAAAAAMICAgAAAAXaXBtYQAAAAAAAAABAAEEgQIDBAAAACRt"
    "ZGF0AAAAGCgBrxOA5qhw0//9XFH/4W54fcmQtJ5v3w=="
)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def plain(data: bytes) -> Image.Image:
    with pixels.open_picture(io.BytesIO(data)) as image:
        return pixels.plain(image)


def is_near(image: Image.Image, colour: tuple[int, int, int], at: tuple[int, int] = (1, 1)) -> bool:
    value = image.getpixel(at)
    assert isinstance(value, tuple)
    return image.mode == "RGB" and all(abs(a - b) <= 3 for a, b in zip(value, colour, strict=True))


def wide_gamut() -> bytes:
    """A profile that differs from sRGB for sure: its red and green are exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = (profile.index(tag, 128) for tag in (b"rXYZ", b"gXYZ"))
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


MAC = (55556).to_bytes(4)  # gamma 1.8, as Macs had it
GREY16 = Image.new("I;16", (300, 300), 32896)
MODES = {
    "16 bits": (saved(GREY16), (128, 128, 128)),
    "16 bits in a TIFF": (saved(GREY16, "TIFF"), (128, 128, 128)),
    "floats in a TIFF": (saved(Image.new("F", (300, 300), 0.5), "TIFF"), (128, 128, 128)),
    "CMYK": (saved(Image.new("CMYK", (300, 300), (0, 255, 255, 0)), "JPEG"), (254, 0, 0)),
    "half transparent": (saved(Image.new("RGBA", (300, 300), (255, 0, 0, 128))), (255, 127, 127)),
    "a transparent colour": (saved(Image.new("RGB", (300, 300)), transparency=(0, 0, 0)), (255, 255, 255)),
    "grey with transparency": (saved(Image.new("LA", (300, 300), (0, 64))), (191, 191, 191)),
    "a palette": (saved(Image.new("RGB", (300, 300), (9, 99, 199)).quantize(4), "GIF"), (9, 99, 199)),
    "one bit": (saved(Image.new("1", (300, 300), 1)), (255, 255, 255)),
    "an animation": (
        saved(
            Image.new("RGB", (300, 300), "blue"),
            "WEBP",
            save_all=True,
            append_images=[Image.new("RGB", (300, 300), "red")],
            lossless=True,
        ),
        (0, 0, 255),
    ),
    "another profile": (
        saved(Image.new("RGB", (300, 300), (230, 40, 40)), icc_profile=wide_gamut()),
        (40, 230, 40),
    ),
    "HEIC": (HEIC, (200, 40, 60)),
    "a gamma": (stating(saved(Image.new("RGB", (300, 300), (200, 100, 50))), gAMA=MAC), (210, 119, 65)),
    "Adobe RGB in EXIF": (in_adobe_rgb(Image.new("RGB", (300, 300), (200, 100, 50))), (227, 100, 42)),
}


@pytest.mark.parametrize("name", MODES)
def test_any_depth_and_colour_becomes_what_people_see(name: str) -> None:
    data, colour = MODES[name]
    assert is_near(plain(data), colour)


@pytest.mark.parametrize("name", MODES)
def test_the_check_names_it_and_the_repair_writes_it(tmp_path: Path, name: str) -> None:
    data, colour = MODES[name]
    source, target = tmp_path / "dataset.zip", tmp_path / "repaired.zip"
    source.write_bytes(packed(dataset() | {"01_start.png": data}))
    verdict = inspect_zip(source)
    if name == "one bit":
        assert verdict.problems == verdict.repairs == []
        return
    assert any("“01_start.png”" in text for text in verdict.problems + verdict.warnings)
    assert {"pixels", "convert"} & {each["code"] for each in verdict.repairs}
    repair(source, target, {})
    assert inspect_zip(target).repairs == []
    with zipfile.ZipFile(target) as archive, Image.open(archive.open("01_start.png")) as image:
        assert is_near(image, colour)
        assert "icc_profile" not in image.info


def sideways() -> bytes:
    """Stored 300 wide and 400 high, shown 400 wide and 300 high, with its top left corner red."""
    image = Image.new("RGB", (300, 400), "white")
    image.paste("red", (0, 300, 100, 400))
    return saved(image, "JPEG", exif=TURNED, quality=95)


def test_a_turned_picture_is_upright_everywhere(tmp_path: Path) -> None:
    upright = plain(sideways())
    assert (upright.size, is_near(upright, (254, 0, 0), (20, 20))) == ((400, 300), True)
    source = tmp_path / "dataset.zip"
    files = {
        f"0{n}_{half}.png": picture(size=(400, 300), colour=(n, 0, 9)) for n in range(1, 6) for half in HALVES
    }
    source.write_bytes(packed(files | {"01_start.png": sideways()}))
    verdict = checker.check_zip(source)
    assert verdict["pairs"][0]["start_size"] == [400, 300]
    assert not any("differ in shape" in warning for warning in verdict["warnings"])
    assert [warning for warning in verdict["warnings"] if "rotated by its EXIF data" in warning]
    preview = tmp_path / "preview.webp"
    task = checker.PictureTask(str(source), "01_start.png", str(preview), 160)
    assert checker.make_pictures([task]) == ["webp"]
    with Image.open(preview) as small:
        assert small.size == (160, 120)
    repair(source, tmp_path / "repaired.zip", {})
    with zipfile.ZipFile(tmp_path / "repaired.zip") as archive:
        (name,) = (each for each in archive.namelist() if each.startswith("01_start."))
        with Image.open(archive.open(name)) as stored:
            assert (stored.size, is_near(stored, (254, 0, 0), (20, 20))) == ((400, 300), True)
            assert pixels.orientation(stored) == 1


HALVES = ("start", "end")


def test_halves_in_two_colour_spaces_are_named(tmp_path: Path) -> None:
    source = tmp_path / "dataset.zip"
    tagged = saved(Image.new("RGB", (320, 256), (230, 40, 40)), icc_profile=wide_gamut())
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    harmless = saved(Image.new("RGB", (320, 256), (230, 40, 40)), icc_profile=srgb)
    by_gamma = stating(saved(Image.new("RGB", (320, 256), (230, 40, 40))), gAMA=MAC)
    files = {"01_start.png": tagged, "02_start.png": harmless, "03_end.png": by_gamma}
    source.write_bytes(packed(dataset() | files))
    verdict = checker.check_zip(source)
    assert "The halves of “01” and “03” are in different colour spaces" in " ".join(verdict["warnings"])
    assert "“02" not in " ".join(verdict["warnings"])


@pytest.mark.parametrize("profile", [b"", b"no profile", bytes(500)])
def test_a_broken_profile_is_no_profile(profile: bytes) -> None:
    data = saved(Image.new("RGB", (30, 30), (230, 40, 40)), icc_profile=profile)
    assert is_near(plain(data), (230, 40, 40))


@pytest.mark.parametrize(
    ("kind", "size"),
    [(kind, (900, 600)) for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")]
    + [("JPEG", (8000, 6000))],  # as a phone takes it
)
def test_a_picture_that_lacks_its_end_is_damaged(kind: str, size: tuple[int, int]) -> None:
    """The whole picture is decoded, whatever its size."""
    noise = Image.effect_noise((900, 600), 60).convert("RGB").resize(size)
    data = saved(noise, kind)
    assert inspect_image(io.BytesIO(data)).size == size
    with pytest.raises(UnusableImageError, match="broken"):
        inspect_image(io.BytesIO(data[: len(data) * 2 // 3]))


def test_a_picture_that_cannot_be_made_leaves_the_others(tmp_path: Path) -> None:
    source = tmp_path / "dataset.zip"
    source.write_bytes(packed(dataset(1) | {"01_end.png": picture()[:200]}))
    targets = [tmp_path / f"{number}.webp" for number in range(3)]
    members = ("01_end.png", "nothing.png", "01_start.png")
    tasks = [
        checker.PictureTask(str(source), member, str(target), 160)
        for member, target in zip(members, targets, strict=True)
    ]
    assert checker.make_pictures(tasks) == ["broken", "missing", "webp"]
    assert [target.exists() for target in targets] == [False, False, True]
    assert list(tmp_path.glob(".*")) == []


def test_the_format_of_a_picture_is_that_of_its_bytes() -> None:
    whole = saved(Image.effect_noise((300, 300), 60), "JPEG")
    assert decoding.picture_formats([whole, picture()]) == ["jpeg", "png"]
    odd = [b"", b"<html>", whole[: len(whole) // 2], saved(Image.new("1", (10_000, 6_000)))]
    assert decoding.picture_formats([*odd, picture()]) == ["", "", "", "", "png"]


def test_a_picture_that_ends_each_child_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with too little memory for it, or too slow; the others get another try."""
    monkeypatch.setattr(sandbox, "PICTURE_LIMITS", checker.Limits(clock=0.001))
    assert decoding.picture_formats([picture(), picture()]) == ["", None]
