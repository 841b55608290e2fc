"""What a dataset ZIP may look like, and what is said of a broken one."""

from __future__ import annotations

import io
import os
import struct
import unicodedata
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from finetune_portal.engine import datasets
from finetune_portal.engine.images import pixels
from tests.datasets.corpus.zip_builder import UTF8, Entry, build
from tests.engine.calling import image, pairs, zipped
from tests.examples import examples
from tests.pictures import encoded, with_metadata

PNG = image()


def read(content: bytes, folder: Path, prompt: str = "put a hat on") -> datasets.Dataset:
    path = folder / "dataset.zip"
    path.write_bytes(content)
    return datasets.check(path, instance_prompt=prompt, check_image=pixels.check)


def header_only(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = struct.pack(">I", 9999) + b"IDAT"
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + pixels
    )


@pytest.mark.parametrize(
    ("files", "count"),
    [
        (pairs(5, caption=b"\xef\xbb\xbfPut a hat on the head.\r\n"), 5),  # the vendor's captions
        (pairs(2, caption=None), 2),
        ({"my set/1_start.JPG": image("JPEG"), "my set/1_end.jpeg": image("JPEG", (48, 64))}, 1),
        ({"8_start.png": PNG, "8_end.jpg": image("WEBP")}, 1),  # as in the vendor's own sample
        ({"cat_start.png": PNG, "cat_end.png": PNG, "a/cat_start.png": PNG, "a/cat_end.png": PNG}, 2),
        (pairs(1) | {"__MACOSX/._01_start.png": b"x", ".DS_Store": b"x", "README.md": b"# hats"}, 1),
        (pairs(1) | {"notes.pdf": b"x", "preview.png": b"not even an image"}, 1),
        ({"01_start.webp": image("WEBP"), "01_end.jfif": image("JPEG")}, 1),
        ({"01_start.pjpeg": image("JPEG"), "01_end.pjp": image("JPEG")}, 1),
    ],
)
def test_what_is_accepted(files: dict[str, bytes], count: int, tmp_path: Path) -> None:
    assert read(zipped(files), tmp_path).pairs == count


def large_webp() -> bytes:
    """A WebP of over 1 MiB, which no decoder opens without its last byte."""
    content = encoded(Image.effect_noise((1200, 1100), 90).convert("RGB"), "WEBP", lossless=True, method=0)
    assert len(content) > 1024**2
    return content


def test_pictures_are_read_whole(tmp_path: Path) -> None:
    """As in the vendor's bigger-head.zip, and as Photoshop writes a JPEG: over 1 MiB before the pixels."""
    webp, jpeg = large_webp(), with_metadata(image("JPEG"))
    assert read(zipped({"8_start.jpg": webp, "8_end.jpg": jpeg}), tmp_path).pairs == 1
    with pytest.raises(datasets.DatasetError, match="8_start.jpg is not a readable"):
        read(zipped({"8_start.jpg": webp[:-1], "8_end.jpg": jpeg}), tmp_path)


def test_a_picture_that_ends_early_is_named(tmp_path: Path) -> None:
    whole = encoded(Image.effect_noise((400, 300), 90), "JPEG")
    files = pairs(1) | {"06_start.jpg": whole[: len(whole) // 2], "06_end.jpg": whole}
    with pytest.raises(datasets.DatasetError, match="^06_start.jpg is damaged: its picture ends early"):
        read(zipped(files), tmp_path)


def named(*names: bytes, **fields: int) -> bytes:
    """A ZIP of these raw names: a caption if it ends in txt, else a picture."""
    return build([Entry(name, b"hat" if name.endswith(b"txt") else PNG, **fields) for name in names])


def parts(stem: str, encoding: str = "utf-8") -> list[bytes]:
    return [f"{stem}{ending}".encode(encoding) for ending in ("_start.png", "_end.png", ".txt")]


DECOMPOSED, COMPOSED = unicodedata.normalize("NFD", "größe"), "größe"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (named(*parts(DECOMPOSED)[:1], *parts(COMPOSED)[1:], flags=UTF8), COMPOSED),
        (named(*parts(COMPOSED)[:2], *parts(DECOMPOSED)[2:], flags=UTF8), COMPOSED),
        (named(*parts(COMPOSED)), COMPOSED),  # UTF-8 without its flag
        (named(*parts(COMPOSED), flags=UTF8, local_flags=0), COMPOSED),
        (named(*parts("set/ソ表", "shift_jis")), None),  # both letters end in a backslash
        (named(*parts("猫", "gbk")), None),
        (named(*parts("功", "big5")), None),
        (named(*parts("모자", "euc_kr")), None),
        (named(*parts("größe", "cp1252")), None),
    ],
)
def test_names_of_a_pair_meet(content: bytes, name: str | None, tmp_path: Path) -> None:
    read(content, tmp_path)
    (pair,) = datasets.pairs(tmp_path / "dataset.zip", instance_prompt="")
    assert datasets.instructions(tmp_path / "dataset.zip", instance_prompt="") == [pair.instruction]
    assert pair.instruction == "hat"
    assert name in (None, pair.name)


def test_a_check_ends_when_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "dataset.zip"
    path.write_bytes(zipped(pairs(3)))
    seen = []

    def check_in() -> None:
        seen.append(1)
        if len(seen) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        datasets.check(path, instance_prompt="", check_image=pixels.check, check_in=check_in)
    assert len(seen) == 2


@pytest.mark.skipif("VENDOR_DATASETS" not in os.environ, reason="VENDOR_DATASETS names no folder")
@pytest.mark.parametrize(("name", "count"), [("bigger-head.zip", 8), ("hat-overlay.zip", 5)])
def test_the_vendors_own_datasets_are_taken_as_they_are(name: str, count: int) -> None:
    path = Path(os.environ["VENDOR_DATASETS"]) / name
    assert datasets.check(path, instance_prompt="", check_image=pixels.check).pairs == count
    assert all(
        pixels.decode(content).mode == "RGB"
        for pair in datasets.pairs(path, instance_prompt="")
        for content in (pair.controls[0].content, pair.target.content)
    )


def broken(**files: bytes) -> bytes:
    return zipped({name.replace("__", "."): content for name, content in files.items()})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a ZIP"),
        (b"PK\x05\x06", "not a ZIP"),
        (b"<html>" * 100, "not a ZIP"),
        (zipped({}), "no image pairs"),
        (broken(photo__png=PNG, photo__txt=b"hat"), "no image pairs"),
        (zipped({"a/01_start.png": PNG, "b/01_end.png": PNG}), "has no partner"),
        (broken(a_start__png=PNG), "a_start.png has no partner: a_end is missing"),
        (broken(a_end__png=PNG), "a_end.png has no partner: a_start is missing"),
        (broken(a_start__png=PNG, a_start__jpg=PNG, a_end__png=PNG), "two images for a_start"),
        (broken(a_start__png=PNG, a_end__png=b""), "a_end.png is not a readable"),
        (broken(a_start__png=PNG, a_end__png=b"GIF89a" + b"x" * 50), "a_end.png is not a readable"),
        (broken(a_start__png=PNG, a_end__png=PNG[:20]), "a_end.png is not a readable"),
        (broken(a_start__png=PNG, a_end__png=header_only(90_000, 90_000)), "too large: 90000 x 90000"),
        (broken(a_start__png=PNG, a_end__png=PNG, a__txt=b"\xff\xfe\x00h"), "a.txt is not UTF-8"),
        (broken(a_start__png=PNG, a_end__png=PNG, a__txt=PNG), "a.txt is not UTF-8"),
        (broken(a_start__png=PNG, a_end__png=PNG, a__txt=b"a" * 70_000), "a.txt is too long"),
    ],
)
def test_what_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(datasets.DatasetError, match=says):
        read(content, tmp_path)


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    content = zipped({f"{number}.png": b"" for number in range(20_001)})
    with pytest.raises(datasets.DatasetError, match="more than 20,000 files"):
        read(content, tmp_path)


@pytest.mark.parametrize("name", ["01_start2.png", "01_START10.JPG", "set/cat_start3.webp"])
def test_further_inputs_are_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(datasets.DatasetError, match=f"^{name} is a further input image of a pair, and this"):
        read(zipped(pairs(2) | {name: PNG}), tmp_path)


@pytest.mark.parametrize(
    ("missing", "most", "says"),
    [
        ("", 3, ""),
        (
            "",
            2,
            "01_start3.png is a further input image of a pair, and this base model is trained with at most 2",
        ),
        ("01_start2.png", 3, "01_start2 is missing in the same folder"),
        ("01_start.png", 3, "01_start is missing in the same folder"),
    ],
)
def test_as_many_inputs_are_read_as_a_base_model_takes(
    missing: str, most: int, says: str, tmp_path: Path
) -> None:
    further = {"01_start2.png": image("PNG", (8, 8)), "01_start3.png": image("PNG", (9, 9))}
    files = {name: content for name, content in (pairs(2) | further).items() if name != missing}
    path = tmp_path / "dataset.zip"
    path.write_bytes(zipped(files))
    if says:
        with pytest.raises(datasets.DatasetError, match=says):
            datasets.check(path, instance_prompt="hats", check_image=pixels.check, most_inputs=most)
        return
    datasets.check(path, instance_prompt="hats", check_image=pixels.check, most_inputs=most)
    first, second = datasets.pairs(path, instance_prompt="hats")
    assert [each.name for each in first.controls] == ["01_start.png", "01_start2.png", "01_start3.png"]
    assert len(second.controls) == 1


def test_a_name_that_only_looks_like_a_further_input(tmp_path: Path) -> None:
    strays = dict.fromkeys(("01_start2.txt", "01_start2024.png", "01_start02.png", "01_end2.png"), PNG)
    files = pairs(2) | strays | {"cat_start2_start.png": PNG, "cat_start2_end.png": PNG}
    assert read(zipped(files), tmp_path).pairs == 3


@pytest.mark.parametrize("caption", [None, b"", b"\xef\xbb\xbf \n"])
def test_a_caption_or_a_prompt_is_needed(caption: bytes | None, tmp_path: Path) -> None:
    content = zipped(pairs(caption=caption))
    with pytest.raises(datasets.DatasetError, match="01 has no caption"):
        read(content, tmp_path, prompt="")
    assert read(content, tmp_path, prompt="put a hat on").pairs == 2


def test_an_encrypted_zip(tmp_path: Path) -> None:
    content = bytearray(zipped(pairs(1)))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := content.find(signature, at + 1)) >= 0:
            content[at + flags] |= 1
    with pytest.raises(datasets.DatasetError, match="is encrypted"):
        read(bytes(content), tmp_path)


def test_a_zip_that_unpacks_to_too_much(tmp_path: Path) -> None:
    content = bytearray(zipped(pairs(5)))
    at = -1
    while (at := content.find(b"PK\x01\x02", at + 1)) >= 0:
        content[at + 24 : at + 28] = struct.pack("<L", 0xFFFFFFF0)
    with pytest.raises(datasets.DatasetError, match="too large: more than 20 GB"):
        read(bytes(content), tmp_path)


def test_an_unusual_packing(tmp_path: Path) -> None:
    content = bytearray(zipped(pairs(1)))
    for signature, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = -1
        while (at := content.find(signature, at + 1)) >= 0:
            content[at + method] = 97
    with pytest.raises(datasets.DatasetError, match="packed in an unusual way"):
        read(bytes(content), tmp_path)


def test_a_zip_of_a_later_version(tmp_path: Path) -> None:
    content = bytearray(zipped(pairs(1)))
    content[content.index(b"PK\x01\x02") + 6] = 99
    with pytest.raises(datasets.DatasetError, match="The dataset is packed in an unusual way"):
        read(bytes(content), tmp_path)


def test_equal_archives_have_equal_hashes(tmp_path: Path) -> None:
    content = zipped(pairs(1))
    assert read(content, tmp_path).sha256 == read(content, tmp_path).sha256


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def compressed(method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in pairs(2).items():
            archive.writestr(name, content)
    return file.getvalue()


WHOLE = compressed(zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_file_is_named_however_it_is_packed(method: int, tmp_path: Path) -> None:
    content = bytearray(compressed(method))
    content[50:70] = bytes(20)  # in the first picture
    with pytest.raises(datasets.DatasetError, match=r"^01_start\.png is damaged in the ZIP"):
        read(bytes(content), tmp_path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=examples(400), deadline=None)
@given(st.data())
def test_a_damaged_archive_is_accepted_or_refused_in_words(folder: Path, data: st.DataObject) -> None:
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 30))
    with suppress(datasets.DatasetError):  # nothing else may come out
        assert read(bytes(content[: len(content) - cut]), folder).pairs


def test_a_file_that_was_replaced_after_its_check_is_not_opened(tmp_path: Path) -> None:
    checked = read(zipped(pairs(2)), tmp_path)
    with datasets.opened(checked.path, sha256=checked.sha256) as file:
        replaced = tmp_path / "another.zip"
        replaced.write_bytes(zipped(pairs(1)))
        replaced.replace(checked.path)  # as the storage does
        assert len(list(datasets.pairs(file, instance_prompt="put a hat on"))) == 2
        assert len(datasets.instructions(file, instance_prompt="put a hat on")) == 2
    with (
        pytest.raises(datasets.DatasetError, match="replaced after it was checked"),
        datasets.opened(checked.path, sha256=checked.sha256),
    ):
        pass
