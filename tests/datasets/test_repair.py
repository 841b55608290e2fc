"""A repaired ZIP is flat, truly named, and passes with nothing left to repair; the source stays."""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from finetune_portal.datasets import checker
from finetune_portal.datasets.checker import Verdict
from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.datasets.checker.repair import repair
from tests.datasets.corpus.honest import HONEST, LARGEST
from tests.datasets.corpus.hostile import HOSTILE
from tests.datasets.corpus.zip_builder import CAPTION, build, dataset, entries, packed, picture

FLAT = ["01_start.png", "01_end.png", "01.txt", "02_start.png", "02_end.png", "02.txt"]


def source_of(tmp_path: Path, files: dict[str, bytes] | bytes) -> Path:
    path = tmp_path / "source.zip"
    path.write_bytes(packed(files) if isinstance(files, dict) else files)
    return path


def outcome(tmp_path: Path, files: dict[str, bytes] | bytes) -> tuple[Verdict, dict[str, bytes]]:
    """The verdict on the repaired ZIP, and what is in it; asserts that the source stayed."""
    source, target = source_of(tmp_path, files), tmp_path / "target.zip"
    before = hashlib.sha256(source.read_bytes()).hexdigest()
    repair(source, target, {})
    assert hashlib.sha256(source.read_bytes()).hexdigest() == before
    verdict = inspect_zip(target)
    assert verdict.problems == verdict.repairs == []
    with zipfile.ZipFile(target) as archive:
        return verdict, {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(
    "files",
    [
        dataset(folder="my set/"),
        dataset(folder="deep/er/") | {"__MACOSX/deep/._er": b"x", ".DS_Store": b"x", "README.md": b"# hats"},
        dataset()
        | {"01.txt": b"\xef\xbb\xbf" + CAPTION + b"\n", "02.txt": CAPTION.decode().encode("utf-16")},
        {name.replace(".txt", "_end.txt"): data for name, data in dataset().items()},
    ],
    ids=["folder", "folder and junk", "byte order marks", "captions of the target"],
)
def test_the_pairs_come_out_flat_with_their_names_and_captions(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    verdict, content = outcome(tmp_path, files)
    assert [*content][:6] == FLAT
    assert len(content) == 15
    assert content["03_end.png"] == dataset()["03_end.png"]
    assert content["01.txt"] == content["02.txt"] == CAPTION
    assert verdict.layout == "flat"


def test_each_picture_gets_the_name_of_its_type_and_webp_becomes_png(tmp_path: Path) -> None:
    noise = Image.effect_noise((320, 256), 80).convert("RGB")
    webp = io.BytesIO()
    noise.save(webp, "WEBP", lossless=True)
    jpeg = picture("JPEG")
    files = dataset() | {"01_start.png": webp.getvalue(), "02_start.png": jpeg}
    verdict, content = outcome(tmp_path, files)
    assert content["02_start.jpg"] == jpeg
    assert "02_start.png" not in content
    with Image.open(io.BytesIO(content["01_start.png"])) as image:
        assert image.format == "PNG"
        assert ImageChops.difference(image.convert("RGB"), noise).getbbox() is None
    assert verdict.warnings == []


@pytest.mark.parametrize("table", [False, True])
def test_two_folders_become_one(tmp_path: Path, table: bool) -> None:
    files: dict[str, bytes] = {}
    for name in ("cat", "dog", "fox", "hen", "owl"):
        files[f"target/{name}.jpg"] = picture("JPEG", colour=(9, 0, len(files)))
        files[f"control/{name}.png"] = picture(colour=(0, 9, len(files)))
        if not table:
            files[f"target/{name}.txt"] = CAPTION
    if table:
        rows = [{"file_name": name, "text": CAPTION.decode()} for name in files if name.startswith("target")]
        files["metadata.jsonl"] = "\n".join(map(json.dumps, rows)).encode()
    _, content = outcome(tmp_path, files)
    assert [*content][:3] == ["cat_start.png", "cat_end.jpg", "cat.txt"]
    assert content["cat_start.png"] == files["control/cat.png"]
    assert content["cat_end.jpg"] == files["target/cat.jpg"]
    assert content["owl.txt"] == CAPTION


def test_the_same_number_in_two_folders_is_numbered_anew(tmp_path: Path) -> None:
    other = {name.replace("a/", "b/"): data for name, data in dataset(3, folder="a/").items()}
    verdict, _ = outcome(tmp_path, dataset(3, folder="a/") | other)
    assert [pair.index for pair in verdict.pairs] == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize(
    "name", [*(name for name in HONEST if name != LARGEST), pytest.param(LARGEST, marks=pytest.mark.slow)]
)
def test_whatever_is_honest_can_be_repaired(tmp_path: Path, name: str) -> None:
    source = source_of(tmp_path, HONEST[name]())
    before = inspect_zip(source)
    repair(source, tmp_path / "target.zip", {})
    after = inspect_zip(tmp_path / "target.zip")
    assert after.problems == after.repairs == []
    assert len(after.pairs) == len(before.pairs)
    assert after.facts["captions"] == before.facts["captions"]


@pytest.mark.parametrize("name", [*HOSTILE][::7])
def test_whatever_is_hostile_cannot_and_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    source, target = source_of(tmp_path, HOSTILE[name][0]()), tmp_path / "target.zip"
    with pytest.raises(checker.ZipRejectedError):
        repair(source, target, {})
    assert not target.exists()


def test_captions_are_written_kept_and_removed(tmp_path: Path) -> None:
    source, target = source_of(tmp_path, dataset(folder="set/")), tmp_path / "target.zip"
    repair(source, target, {"01": "\ufeff帽子をかぶせる\n", "02": "", "nobody": "x"})
    verdict = inspect_zip(target)
    assert [pair.caption for pair in verdict.pairs][:3] == ["帽子をかぶせる", "", CAPTION.decode()]
    with zipfile.ZipFile(target) as archive:
        assert archive.read("01.txt") == "帽子をかぶせる".encode()
        assert "02.txt" not in archive.namelist()
    assert verdict.problems == verdict.repairs == []


def test_captions_of_pairs_in_two_folders_reach_the_right_pair(tmp_path: Path) -> None:
    other = {name.replace("a/", "b/"): data for name, data in dataset(3, folder="a/").items()}
    source, target = source_of(tmp_path, dataset(3, folder="a/") | other), tmp_path / "target.zip"
    repair(source, target, {"b/02": "only here"})
    assert [pair.caption for pair in inspect_zip(target).pairs] == [CAPTION.decode()] * 4 + [
        "only here",
        CAPTION.decode(),
    ]


def test_the_process_with_limits_repairs_too(tmp_path: Path) -> None:
    source, target = source_of(tmp_path, dataset(folder="set/")), tmp_path / "target.zip"
    checker.repair_zip(source, target, {"01": "a hat\N{SNOWMAN}"})
    assert inspect_zip(target).pairs[0].caption == "a hat\N{SNOWMAN}"


def hostile(tmp_path: Path) -> Path:
    return source_of(tmp_path, build(entries(flags=1)))


def incurable(tmp_path: Path) -> Path:
    return source_of(tmp_path, dataset() | {"06_start.png": picture()})


@pytest.mark.parametrize(("make", "reason"), [(hostile, "password"), (incurable, "no _end picture")])
def test_the_process_says_why_it_cannot_repair(
    tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    with pytest.raises(checker.ZipRejectedError, match=reason):
        checker.repair_zip(make(tmp_path), tmp_path / "target.zip")
    assert not (tmp_path / "target.zip").exists()


def test_a_process_that_is_ended_leaves_no_half_of_a_zip(tmp_path: Path) -> None:
    source, target = source_of(tmp_path, dataset()), tmp_path / "target.zip"
    with pytest.raises(checker.ZipRejectedError, match="broke the check"):
        checker.repair_zip(source, target, limits=checker.Limits(output=3_000))
    assert not target.exists()


def test_memory_stays_flat_however_large_the_zip(tmp_path: Path) -> None:
    large = b"film" + bytes(1_000_000)
    with zipfile.ZipFile(tmp_path / "source.zip", "w") as archive:
        for name, data in dataset(folder="set/").items():
            archive.writestr(name, data)
        for number in range(60):
            archive.writestr(f"set/film{number}.bin", large)
    tracemalloc.start()
    try:
        repair(tmp_path / "source.zip", tmp_path / "target.zip", {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
