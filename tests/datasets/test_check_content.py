"""The verdict on the content of a dataset: pairs, pictures, captions, layouts, repairs."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from finetune_portal.datasets import checker, sample
from finetune_portal.datasets.checker import Limits, Verdict
from finetune_portal.datasets.checker.inspect import inspect_zip
from tests.datasets.corpus.zip_builder import CAPTION, dataset, packed, picture


def verdict_on(tmp_path: Path, files: dict[str, bytes] | bytes) -> Verdict:
    path = tmp_path / "dataset.zip"
    path.write_bytes(packed(files) if isinstance(files, dict) else files)
    return inspect_zip(path)


def codes(verdict: Verdict) -> list[str]:
    return [repair["code"] for repair in verdict.repairs]


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def test_the_sample_is_six_pairs_with_captions(tmp_path: Path) -> None:
    verdict = verdict_on(tmp_path, sample.make())
    assert verdict.problems == verdict.warnings == verdict.repairs == []
    assert [pair.index for pair in verdict.pairs] == ["01", "02", "03", "04", "05", "06"]
    assert all(pair.caption == sample.CAPTION for pair in verdict.pairs)
    assert verdict.layout == "flat"
    size = len(sample.make())
    assert verdict.facts | {"unpacked": 0} == {
        "files": 18,
        "pairs": 6,
        "captions": 6,
        "bytes": size,
        "unpacked": 0,
    }


def test_a_pair_knows_the_size_of_its_halves(tmp_path: Path) -> None:
    files = dataset() | {"01_start.png": picture(size=(640, 512))}
    pair = verdict_on(tmp_path, files).as_json()["pairs"][0]
    assert (pair["start_size"], pair["end_size"]) == ([640, 512], [320, 256])


def test_pairs_may_lie_in_a_folder_and_are_counted_as_people_count(tmp_path: Path) -> None:
    files = {
        f"set/{n}_{half}.PNG": picture(colour=(n, 0, len(half)))
        for n in (10, 9, 1, 2, 3)
        for half in ("start", "end")
    }
    verdict = verdict_on(tmp_path, files)
    assert verdict.problems == []
    assert [pair.index for pair in verdict.pairs] == ["1", "2", "3", "9", "10"]
    assert (verdict.layout, codes(verdict), verdict.facts["captions"]) == ("folder", ["folder"], 0)


def test_the_same_number_in_two_folders_is_two_pairs(tmp_path: Path) -> None:
    verdict = verdict_on(tmp_path, dataset(3, folder="a/") | dataset(3, folder="b/"))
    assert [pair.index for pair in verdict.pairs][:4] == ["a/01", "a/02", "a/03", "b/01"]
    assert (verdict.layout, codes(verdict)) == ("folders", ["folder"])


@pytest.mark.parametrize(
    ("raw", "text", "repairs"),
    [
        (b"add a hat", "add a hat", []),
        ("\ufeffadd a hat\n".encode(), "add a hat", ["captions"]),
        ("add a hat\r\n".encode("utf-16"), "add a hat", ["captions"]),
        ("帽子をかぶせる".encode(), "帽子をかぶせる", []),
    ],
)
def test_a_caption_is_read_as_text(tmp_path: Path, raw: bytes, text: str, repairs: list[str]) -> None:
    verdict = verdict_on(tmp_path, dataset() | {"01.txt": raw})
    assert verdict.pairs[0].caption == text
    assert codes(verdict) == repairs
    assert bool(verdict.problems) == raw.startswith(b"\xff\xfe")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"01.txt": "café".encode("latin-1")},
            "“01.txt” is not UTF-8, which training needs; it reads like Windows-1252",
        ),
        ({"01.txt": b"a\0b"}, "“01.txt” is no text that can be read"),
        ({"01.txt": b"x" * 70_000}, "“01.txt” is too long for a caption"),
        ({"06_start.png": picture()}, "“06” has no _end picture"),
        ({"06_end.png": picture()}, "“06” has no _start picture"),
        ({"01_start.jpg": picture("JPEG")}, "two pictures called “01_start”"),
        ({"01_start.png": picture("GIF")}, "“01_start.png” is a GIF picture; training takes PNG and JPEG"),
        ({"01_start.png": picture("BMP")}, "“01_start.png” is a BMP picture; training"),
        ({"01_start.png": picture("TIFF")}, "“01_start.png” is a TIFF picture; training"),
        ({"01_start.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}, "really an SVG drawing"),
        ({"01_start.png": b"<!doctype html><script>"}, "really a web page"),
        ({"01_start.png": b"#!/bin/sh\n"}, "really a script"),
        ({"01_start.png": b""}, "really no picture"),
        ({"01_start.png": picture()[:200]}, "“01_start.png” is damaged"),
        ({"01_start.png": packed({"a": b"b"})}, "really a ZIP archive"),
        ({"notes.bin": packed({"a": b"b"})}, "“notes.bin” is really a ZIP archive"),
    ],
)
def test_what_stops_a_training_is_a_problem(tmp_path: Path, change: dict[str, bytes], sentence: str) -> None:
    verdict = verdict_on(tmp_path, dataset() | change)
    assert len(verdict.problems) == 1
    assert sentence in verdict.problems[0]


def another_pair() -> dict[str, bytes]:
    return {"06_start.png": picture(colour=(6, 0, 0)), "06_end.png": picture(colour=(6, 0, 9))}


ROTATED = saved(
    Image.new("RGB", (256, 320)),
    "JPEG",
    exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
)
WARNINGS = {
    "an empty caption": ({"01.txt": b" \n"}, "“01.txt” is empty"),
    "a long caption": ({"01.txt": b"x" * 2_001}, "“01.txt” is longer than 2,000 characters"),
    "another shape": ({"01_start.png": picture(size=(256, 320))}, "The halves of “01” differ in shape"),
    "a tiny picture": ({"01_start.png": picture(size=(160, 128))}, "“01_start.png” is smaller than 256"),
    "CMYK": ({"01_start.png": picture("JPEG", mode="CMYK", colour=(1, 2, 3, 4))}, "print colours"),
    "16 bits": ({"01_start.png": picture(mode="I;16", colour=700)}, "more than 8 bits per channel"),
    "transparent": ({"01_start.png": picture(mode="RGBA", colour=(9, 9, 9, 90))}, "partly transparent"),
    "the same twice": ({"01_start.png": picture(colour=(1, 90, 200))}, "the same picture in “01”"),
    "a byte order mark": ({"01.txt": b"\xef\xbb\xbfa hat"}, "“01.txt” begins with a byte order mark (BOM)"),
    "a caption in capitals": ({"06.TXT": b"a hat", **another_pair()}, "“06.TXT” may be ignored in training"),
    "a caption of no pair": ({"caption.txt": b"a hat"}, "“caption.txt” belongs to no pair"),
    "a picture of no pair": ({"cover.png": picture()}, "“cover.png” belongs to no pair and is left out"),
    "rotated by EXIF": ({"01_start.png": ROTATED}, "rotated by its EXIF data"),
    "an animated picture": (
        {
            "01_start.png": saved(
                Image.new("RGB", (320, 256)),
                "PNG",
                save_all=True,
                append_images=[Image.new("RGB", (320, 256), "red")],
            )
        },
        "“01_start.png” is animated",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), WARNINGS.values(), ids=WARNINGS)
def test_what_makes_a_training_worse_is_a_warning(
    tmp_path: Path, change: dict[str, bytes], sentence: str
) -> None:
    verdict = verdict_on(tmp_path, dataset() | change)
    assert verdict.problems == []
    assert [warning for warning in verdict.warnings if sentence in warning]


def test_pairs_in_a_folder_are_a_warning(tmp_path: Path) -> None:
    assert (
        "in a folder inside the ZIP (“my set”)" in verdict_on(tmp_path, dataset(folder="my set/")).warnings[0]
    )


def test_a_caption_in_capitals_is_read_all_the_same(tmp_path: Path) -> None:
    files = {name.replace(".txt", ".TXT"): data for name, data in dataset().items()}
    verdict = verdict_on(tmp_path, files)
    assert (verdict.facts["captions"], codes(verdict)) == (5, ["captions"])


def test_no_caption_at_all_is_a_warning(tmp_path: Path) -> None:
    files = {name: data for name, data in dataset().items() if not name.endswith(".txt")}
    assert verdict_on(tmp_path, files | {"README.txt": b"hats"}).warnings == [
        "“README.txt” is left out: neither a picture of a pair nor a caption.",
        "No pair has a caption, so the prompt alone must describe the edit.",
    ]


def test_a_caption_that_only_some_pairs_have_is_a_warning(tmp_path: Path) -> None:
    files = dataset()
    del files["02.txt"], files["04.txt"]
    verdict = verdict_on(tmp_path, files)
    assert verdict.warnings == [
        "“02” and “04” have no caption, unlike the others; the prompt is used instead."
    ]
    assert verdict.facts["captions"] == 3


@pytest.mark.parametrize(
    "note", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0" + b"II*\0" + bytes(60)]
)
def test_broken_exif_does_not_make_a_picture_broken(tmp_path: Path, note: bytes) -> None:
    jpeg = picture("JPEG")
    noted = jpeg[:2] + b"\xff\xe1" + (len(note) + 2).to_bytes(2, "big") + note + jpeg[2:]
    verdict = verdict_on(tmp_path, dataset(kind="JPEG", suffix="jpg") | {"01_start.jpg": noted})
    assert verdict.problems == verdict.warnings == []


def test_an_opaque_alpha_channel_is_no_warning(tmp_path: Path) -> None:
    opaque = {"01_start.png": picture(mode="RGBA", colour=(9, 9, 9, 255))}
    assert verdict_on(tmp_path, dataset() | opaque).warnings == []


def test_a_picture_under_another_types_name_is_a_warning_that_can_be_repaired(tmp_path: Path) -> None:
    webp, jpeg = {"01_start.png": picture("WEBP")}, {"02_start.png": picture("JPEG")}
    verdict = verdict_on(tmp_path, dataset() | webp | jpeg)
    assert verdict.problems == []
    assert "“01_start.png” is really WebP" in verdict.warnings[0]
    assert "“02_start.png” is really a JPEG picture" in verdict.warnings[1]
    assert codes(verdict) == ["names", "webp"]


def test_a_thousand_faults_make_one_sentence(tmp_path: Path) -> None:
    verdict = verdict_on(tmp_path, dict.fromkeys((f"{n}_start.png" for n in range(1_000)), picture()))
    assert verdict.problems == [
        "“0”, “1”, “2” and 997 more have no _end picture. Each pair needs both halves."
    ]


def test_few_pairs_are_a_warning(tmp_path: Path) -> None:
    assert "Only 1 pair." in verdict_on(tmp_path, dataset(1)).warnings[0]


def test_over_100_mb_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w") as packing:
        for name, data in dataset().items():
            packing.writestr(name, data)
        with packing.open("film.bin", "w") as film:
            for _ in range(101):
                film.write(b"\0" * 1_000_000)
    verdict = inspect_zip(path)
    assert verdict.problems == []
    assert "The ZIP is 101 MB" in verdict.warnings[0]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("__MACOSX/._01_start.png", "__MACOSX"),
        (".DS_Store", ".DS_Store"),
        ("THUMBS.DB", "THUMBS.DB"),
        ("Desktop.ini", "Desktop.ini"),
        ("Icon\r", "Icon"),
        ("@eaDir/01_start.png/SYNOPHOTO_THUMB_M.jpg", "@eaDir"),
    ],
)
def test_files_of_the_operating_system_are_left_out_with_a_warning(
    tmp_path: Path, name: str, part: str
) -> None:
    """Z18"""
    verdict = verdict_on(tmp_path, dataset() | {name: picture()})
    assert verdict.problems == []
    assert [part in warning for warning in verdict.warnings] == [True]
    assert codes(verdict) == ["junk"]
    assert len(verdict.pairs) == 5


def two_folders(control: str, target: str) -> dict[str, bytes]:
    files = {}
    for number in range(5):
        files[f"{control}/{number}.png"] = picture(colour=(number, 0, 0))
        files[f"{target}/{number}.jpg"] = picture("JPEG", colour=(number, 0, 90))
        files[f"{target}/{number}.txt"] = CAPTION
    return files


@pytest.mark.parametrize(
    ("control", "target"),
    [("control", "target"), ("set/images", "set/edited"), ("control_images", "dataset")],
)
def test_the_two_folders_of_ai_toolkit_are_understood(tmp_path: Path, control: str, target: str) -> None:
    verdict = verdict_on(tmp_path, two_folders(control, target))
    assert "two folders with the same names" in verdict.problems[0]
    assert len(verdict.problems) == 1
    assert (verdict.layout, codes(verdict)) == ("two folders", ["layout"])
    assert (verdict.pairs[3].start, verdict.pairs[3].end) == (f"{control}/3.png", f"{target}/3.jpg")
    assert verdict.facts["captions"] == 5


def test_two_folders_that_do_not_tell_which_is_before_are_asked_about(tmp_path: Path) -> None:
    files = {name: data for name, data in two_folders("left", "right").items() if not name.endswith(".txt")}
    verdict = verdict_on(tmp_path, files)
    assert (
        "The folders “left” and “right” hold the same names, but which one is “before”?"
        in verdict.problems[0]
    )
    assert verdict.repairs == []


@pytest.mark.parametrize(
    "row",
    [
        lambda n: {"condition": f"condition/{n}.png", "target": f"target/{n}.jpg", "prompt": "add snow"},
        lambda n: {"file_name": f"target/{n}.jpg", "text": "add snow"},
    ],
)
def test_folders_with_a_table_are_understood(tmp_path: Path, row: Any) -> None:
    files = two_folders("condition", "target")
    files = {name: data for name, data in files.items() if not name.endswith(".txt")}
    files["metadata.jsonl"] = "\n".join(json.dumps(row(n)) for n in range(5)).encode()
    verdict = verdict_on(tmp_path, files)
    assert (verdict.layout, codes(verdict)) == ("metadata", ["layout"])
    assert [pair.caption for pair in verdict.pairs] == ["add snow"] * 5
    assert (verdict.pairs[0].start, verdict.pairs[0].end) == ("condition/0.png", "target/0.jpg")


@pytest.mark.parametrize(
    "table", [b"[" * 100_000, b"\xff\xfe", b"{}\n[]\nnull\n{", b'{"text": 3, "a": ["b"]}']
)
@pytest.mark.usefixtures("without_collector")
def test_a_table_of_nonsense_is_no_trap(tmp_path: Path, table: bytes) -> None:
    assert verdict_on(tmp_path, two_folders("left", "right") | {"metadata.jsonl": table}).problems


def test_captions_named_after_the_target_are_read_and_can_be_renamed(tmp_path: Path) -> None:
    files = {name.replace(".txt", "_end.txt"): data for name, data in dataset().items()}
    verdict = verdict_on(tmp_path, files)
    assert "“01_end.txt”" in verdict.problems[0]
    assert (verdict.facts["captions"], codes(verdict)) == (5, ["captions"])


def test_the_check_in_its_own_process_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "Ünder weg.zip"
    path.write_bytes(sample.make())
    assert checker.check_zip(path) == inspect_zip(path).as_json()


def large_pictures(tmp_path: Path, pairs: int) -> Path:
    path = tmp_path / f"{pairs}.zip"
    large = picture(size=(5_000, 4_999))
    path.write_bytes(packed({f"{n}_{half}.png": large for n in range(pairs) for half in ("start", "end")}))
    return path


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(clock=0.01), "took over 0.01 seconds"),
        (Limits(cpu=1), "takes too much time to check"),
        (Limits(output=100), "broke the check"),
    ],
)
def test_a_check_that_costs_too_much_is_ended_and_says_so(
    tmp_path: Path, limits: Limits, sentence: str
) -> None:
    """Z23"""
    verdict = checker.check_zip(large_pictures(tmp_path, 2 if limits.output == 100 else 30), limits)
    assert sentence in verdict["problems"][0]
    assert verdict.keys() == Verdict().as_json().keys()


def test_a_picture_that_needs_too_much_memory_is_named(tmp_path: Path) -> None:
    """Z23"""
    verdict = checker.check_zip(large_pictures(tmp_path, 1), Limits(memory=100 * 1024**2))
    assert "“0_start.png” and “0_end.png” need too much memory" in verdict["problems"][0]
