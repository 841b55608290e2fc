"""What the check says of a ZIP: a sentence for every way it can be wrong."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_portal.datasets import sample
from finetune_portal.datasets.archive import Verdict, inspect

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
JPEG = b"\xff\xd8\xff" + b"\0" * 40


def packed(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def verdict_on(tmp_path: Path, data: bytes) -> Verdict:
    path = tmp_path / "dataset.zip"
    path.write_bytes(data)
    return inspect(path)


def test_the_sample_is_six_pairs_with_captions(tmp_path: Path) -> None:
    verdict = verdict_on(tmp_path, sample.make())
    assert verdict.problems == verdict.warnings == []
    assert [pair.index for pair in verdict.pairs] == ["01", "02", "03", "04", "05", "06"]
    assert all(pair.caption == sample.CAPTION for pair in verdict.pairs)


def test_pairs_may_lie_in_a_folder_and_are_counted_as_people_count(tmp_path: Path) -> None:
    names = [f"set/{n}_{half}.JPG" for n in (10, 9, 1, 2, 3) for half in ("start", "end")]
    verdict = verdict_on(tmp_path, packed(dict.fromkeys(names, JPEG)))
    assert verdict.problems == []
    assert [pair.index for pair in verdict.pairs] == ["1", "2", "3", "9", "10"]


def test_a_byte_order_mark_and_a_newline_are_no_part_of_a_caption(tmp_path: Path) -> None:
    files = {"1_start.png": PNG, "1_end.png": PNG, "1.txt": "\ufeffadd a hat\n".encode()}
    assert verdict_on(tmp_path, packed(files)).pairs[0].caption == "add a hat"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is empty"),
        (b"GIF89a, surely", "not a readable ZIP"),
        (packed({}), "The ZIP is empty"),
        (packed({"__MACOSX/._1_start.png": PNG, ".DS_Store": b"x"}), "The ZIP is empty"),
        (packed({"notes.txt": b"hello"}), "no pictures"),
        (packed({"cat.png": PNG}), "No picture is named as a pair"),
        (packed({"01_start.png": PNG}), "“01” has no _end picture"),
        (packed({"../01_start.png": PNG, "01_end.png": PNG}), "points outside"),
        (packed({"01_start.png": PNG, "01_end.png": PNG})[:-30], "not a readable ZIP"),
    ],
)
def test_it_says_what_is_wrong(tmp_path: Path, data: bytes, sentence: str) -> None:
    assert sentence in verdict_on(tmp_path, data).problems[0]


def test_webp_under_another_name_is_a_warning(tmp_path: Path) -> None:
    webp = b"RIFF\0\0\0\0WEBPVP8 "
    verdict = verdict_on(tmp_path, packed({"1_start.jpg": JPEG, "1_end.jpg": webp}))
    assert verdict.problems == []
    assert "“1_end.jpg” is really WebP" in verdict.warnings[0]


@given(data=st.binary(max_size=400), at=st.integers(0, 3000))
def test_damage_never_raises(tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int) -> None:
    whole = packed({"01_start.png": PNG, "01_end.png": PNG, "01.txt": b"caption"})
    at %= len(whole)
    path = tmp_path_factory.mktemp("damaged") / "dataset.zip"
    path.write_bytes(whole[:at] + data + whole[at + len(data) :])
    inspect(path)
