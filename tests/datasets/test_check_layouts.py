"""Each layout that other trainers use is understood, and every file in the ZIP is used or named."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from finetune_portal.datasets.checker import Verdict, captions, code_pages, layouts, zip_names
from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.datasets.checker.repair import repair
from finetune_portal.datasets.checker.zip_members import Member
from tests.code_pages import NAMES
from tests.datasets.corpus.zip_builder import CAPTION, Entry, build, dataset, packed, picture
from tests.examples import examples


def verdict_on(tmp_path: Path, files: dict[str, bytes] | bytes) -> Verdict:
    path = tmp_path / "dataset.zip"
    path.write_bytes(packed(files) if isinstance(files, dict) else files)
    return inspect_zip(path)


def repaired(tmp_path: Path, *, is_swapped: bool = False) -> dict[str, bytes]:
    """The content of the repaired copy, which must be in order."""
    target = tmp_path / "repaired.zip"
    repair(tmp_path / "dataset.zip", target, {}, is_swapped=is_swapped)
    verdict = inspect_zip(target)
    assert verdict.problems == verdict.repairs == verdict.questions == []
    with zipfile.ZipFile(target) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pairs(start: str, end: str, caption: str = "") -> dict[str, bytes]:
    """Five pairs whose files are named by patterns with a number."""
    files = {}
    for number in range(1, 6):
        files[start.format(number)] = picture(colour=(number, 0, 0))
        files[end.format(number)] = picture(colour=(number, 0, 90))
        if caption:
            files[caption.format(number)] = CAPTION
    return files


LAYOUTS = {
    "words after an underscore": ("{}_before.png", "{}_after.png", "{}.txt"),
    "words after a dot": ("{}.input.png", "{}.output.png", "{}.txt"),
    "words after a hyphen": ("{}-Source.png", "{}-Target.png", "{}-Target.txt"),
    "words, in two folders": ("a/{}_control.png", "b/{}_target.png", "b/{}_target.txt"),
    "a folder for each pair": ("{}/before.png", "{}/after.png", "{}/caption.txt"),
    "a numbered word": ("{}_control1.png", "{}_target.png", "{}.txt"),
    "two folders": ("control/{}.png", "target/{}.png", "target/{}.txt"),
    "two folders in a folder": ("set/control/{}.png", "set/target/{}.png", "set/target/{}.txt"),
    "a folder in a folder": ("set/control/{}.png", "set/{}.png", "set/{}.txt"),
    "one folder with a word": ("control_images/{}.png", "dataset/{}.png", "dataset/{}.txt"),
    "captions in a folder of their own": ("control/{}.png", "target/{}.png", "captions/{}.txt"),
    "kohya's captions": ("{}_start.png", "{}_end.png", "{}.caption"),
    "captions of taggers": ("{}_start.png", "{}_end.png", "{}.tags"),
    "letters in another case": ("Cat{}_START.png", "cat{}_end.png", "CAT{}.TXT"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_understood_and_can_be_repaired(tmp_path: Path, name: str) -> None:
    verdict = verdict_on(tmp_path, pairs(*LAYOUTS[name]))
    assert (len(verdict.pairs), verdict.facts["captions"]) == (5, 5)
    start, end, _ = LAYOUTS[name]
    assert {(pair.start, pair.end) for pair in verdict.pairs} == {
        (start.format(number), end.format(number)) for number in range(1, 6)
    }
    content = repaired(tmp_path)
    assert len(content) == 15
    assert sum(data == CAPTION for data in content.values()) == 5


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("{}_R.png", "{}_T.png"),
        ("{}-a.png", "{}-b.png"),
        ("{}_src.png", "{}_dst.png"),
        ("{}_1.png", "{}_2.png"),
        ("cat {}-left.png", "cat {}-right.png"),
        ("{}a.png", "{}b.png"),
        ("{}_cond.png", "{}_img.png"),
        ("{}_mask.png", "{}_control.png"),
        ("{}_前.png", "{}_后.png"),
    ],
)
def test_a_guess_is_asked_about_and_can_be_turned_round(tmp_path: Path, start: str, end: str) -> None:
    files = pairs(start, end, "{}.txt")
    verdict = verdict_on(tmp_path, files)
    assert "look like a pair" in verdict.problems[0]
    assert [question["code"] for question in verdict.questions] == ["halves"]
    if "control" in end:
        start, end = end, start
    assert f"Is “{start.format(1)}” before" in verdict.questions[0]["sentence"]
    index = verdict.pairs[0].index
    assert repaired(tmp_path)[f"{index}_start.png"] == files[start.format(1)]
    assert repaired(tmp_path, is_swapped=True)[f"{index}_start.png"] == files[end.format(1)]


def test_two_endings_are_found_beside_a_stray_and_a_missing_half(tmp_path: Path) -> None:
    files = pairs("{}_1.png", "{}_2.png") | {"my_cover.png": picture()}
    del files["3_2.png"]
    verdict = verdict_on(tmp_path, files)
    assert len(verdict.pairs) == 4
    assert verdict.problems[0] == "“3” has no _end picture. Each pair needs both halves."
    assert "“my_cover.png” belongs to no pair and is left out." in verdict.warnings


@pytest.mark.parametrize(
    "names",
    [
        ["cat_1", "cat_2", "dog_3", "dog_4"],
        ["01_1", "01_2", "01_3", "02_1", "02_2", "02_3"],
        ["IMG_0001", "IMG_0002", "IMG_0003"],
        ["cat_1", "cat_2"],
    ],
)
def test_endings_that_most_names_do_not_share_are_no_guess(tmp_path: Path, names: list[str]) -> None:
    verdict = verdict_on(tmp_path, {f"{name}.png": picture() for name in names})
    assert verdict.problems[0].startswith("No picture is named as a pair")
    assert verdict.questions == []


def test_captions_beside_one_of_two_folders_are_a_guess(tmp_path: Path) -> None:
    verdict = verdict_on(tmp_path, pairs("left/{}.png", "right/{}.png", "right/{}.txt"))
    assert verdict.pairs[0].end == "right/1.png"
    assert [question["code"] for question in verdict.questions] == ["halves"]


TABLE = "file_name,source,prompt\n" + "".join(f"t/{n}.png,s/{n}.png,add snow\n" for n in range(1, 6))


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("metadata.csv", TABLE.encode()),
        ("metadata.csv", TABLE.replace(",", ";").encode("utf-8-sig")),
        ("metadata.csv", TABLE.encode("utf-16")),
        (
            "metadata.jsonl",
            b"\n".join(
                b'{"image": "t/%d.png", "kontext_images": ["s/%d.png"], "prompt": "add snow"}' % (n, n)
                for n in range(1, 6)
            ),
        ),
        (
            "metadata.jsonl",
            b"\n".join(
                b'{"image": "s/%d.png", "edited_image": "./t\\\\%d.png", "edit_prompt": "add snow"}' % (n, n)
                for n in range(1, 6)
            ),
        ),
        ("metadata.tsv", TABLE.replace(",", "\t").encode()),
        ("Pairs of hats.csv", TABLE.encode()),
        (
            "train.jsonl",
            b"\n".join(
                b'{"source": "s/%d.png", "target": "t/%d.png", "text": "add snow"}' % (n, n)
                for n in range(1, 6)
            ),
        ),
    ],
    ids=["CSV", "semicolons", "UTF-16", "a list", "a general column", "tabs", "another name", "other lines"],
)
def test_a_table_of_pairs_is_read(tmp_path: Path, name: str, table: bytes) -> None:
    verdict = verdict_on(tmp_path, pairs("s/{}.png", "t/{}.png") | {name: table})
    assert verdict.layout == "metadata"
    assert (verdict.pairs[0].start, verdict.pairs[0].end) == ("s/1.png", "t/1.png")
    assert [pair.caption for pair in verdict.pairs] == ["add snow"] * 5
    assert len(repaired(tmp_path)) == 15


@pytest.mark.parametrize(("columns", "is_first_before"), [("one,two", True), ("file_name,other", False)])
def test_columns_that_say_no_half_are_asked_about(
    tmp_path: Path, columns: str, is_first_before: bool
) -> None:
    table = f"{columns},prompt\n" + "".join(f"{n}x.png,{n}y.png,add snow\n" for n in range(1, 6))
    verdict = verdict_on(tmp_path, pairs("{}x.png", "{}y.png") | {"metadata.csv": table.encode()})
    assert verdict.layout == "metadata"
    halves = (verdict.pairs[0].start, verdict.pairs[0].end)
    assert halves == (("1x.png", "1y.png") if is_first_before else ("1y.png", "1x.png"))
    assert [question["code"] for question in verdict.questions] == ["halves"]


def test_a_table_with_a_usual_name_comes_before_others(tmp_path: Path) -> None:
    others = {"a.csv": b"file_name,text\n01_end.png,wrong\n", "metadata.csv": TABLE.encode()}
    verdict = verdict_on(tmp_path, pairs("s/{}.png", "t/{}.png") | others)
    assert [pair.caption for pair in verdict.pairs] == ["add snow"] * 5
    assert "“a.csv” is left out: neither a picture of a pair nor a caption." in verdict.warnings


def test_what_a_table_names_and_the_zip_lacks_is_named(tmp_path: Path) -> None:
    files = pairs("s/{}.png", "t/{}.png") | {"metadata.csv": TABLE.encode()}
    del files["t/3.png"]
    warnings = verdict_on(tmp_path, files).warnings
    assert "The table names “t/3.png”, which is not in the ZIP." in warnings
    assert "“s/3.png” belongs to no pair and is left out." in warnings


@pytest.mark.parametrize(
    ("names", "one", "two"),
    [
        ("{}/{{}}.png", "control1", "control2"),
        ("{{}}_{}.png", "control1", "control2"),
        ("{}/{{}}.png", "depth", "edges"),
        ("{}/{{}}.png", "ref1", "ref2"),
    ],
    ids=["folders", "names", "folders of any name", "other words"],
)
def test_several_inputs_for_a_pair_are_refused_by_name(
    tmp_path: Path, names: str, one: str, two: str
) -> None:
    target = names.format("target")
    verdict = verdict_on(tmp_path, pairs(names.format(one), target) | pairs(names.format(two), target))
    assert verdict.problems[0].startswith("There are several input images for a pair, but not named 01_start")
    assert "or keep one, such as “" in verdict.problems[0]
    assert one in verdict.problems[0]
    assert two in verdict.problems[0]
    assert verdict.repairs == []


STRAYS = {
    "preview.png": picture(),
    "film.mp4": b"\0\0\0\x18ftypmp42",
    "01.caption": b"another text",
    "notes.txt": b"hats",
    "else.json": b'{"prompt": "x"}',
    "deep/er/cat.webp": picture("WEBP"),
    "table.csv": b"a,b",
}


@pytest.mark.parametrize(
    "files",
    [
        pairs("0{}_start.png", "0{}_end.png", "0{}.txt"),
        pairs("control/0{}.png", "target/0{}.png", "target/0{}.txt"),
        pairs("0{}-before.png", "0{}-after.png", "0{}.txt"),
    ],
    ids=["flat", "folders", "words"],
)
@pytest.mark.parametrize("stray", STRAYS)
def test_every_other_file_is_named(tmp_path: Path, files: dict[str, bytes], stray: str) -> None:
    verdict = verdict_on(tmp_path, files | {stray: STRAYS[stray]})
    assert len(verdict.pairs) == 5
    assert [warning for warning in verdict.warnings if f"“{stray}”" in warning and "left out" in warning]
    assert len(repaired(tmp_path)) == 15


def test_two_files_of_one_name_are_a_problem(tmp_path: Path) -> None:
    files = pairs("control/{}.png", "target/{}.png") | {"control/3.jpg": picture("JPEG")}
    assert "two pictures called “control/3”" in verdict_on(tmp_path, files).problems[0]


def test_equal_pairs_are_named(tmp_path: Path) -> None:
    files = dataset()
    files |= {name.replace("01", "06"): data for name, data in files.items() if name.startswith("01")}
    assert verdict_on(tmp_path, files).warnings == ["“01” and “06” are the same pair. Keep one of them."]


def test_halves_of_equal_pixels_are_named_whatever_their_bytes(tmp_path: Path) -> None:
    packed_harder = io.BytesIO()
    with Image.open(io.BytesIO(picture(colour=(1, 90, 200)))) as image:
        image.save(packed_harder, "PNG", compress_level=0)
    verdict = verdict_on(tmp_path, dataset() | {"01_start.png": packed_harder.getvalue()})
    assert "Before and after are the same picture in “01”." in verdict.warnings


# Names ------------------------------------------------------------------------------------------------------


def named_in(page: str) -> bytes:
    members = []
    for number, name in enumerate(NAMES[page]):
        for ending, data in (
            ("_start.png", picture(colour=(number, 0, 0))),
            ("_end.png", picture(colour=(number, 0, 90))),
            (".txt", CAPTION),
        ):
            members.append(Entry((name + ending).encode(page), data, flags=0))
    return build(members)


@pytest.mark.parametrize("page", NAMES)
def test_names_in_an_old_code_page_are_read(tmp_path: Path, page: str) -> None:
    verdict = verdict_on(tmp_path, named_in(page))
    assert sorted(pair.index for pair in verdict.pairs) == sorted(NAMES[page])
    assert (verdict.problems, verdict.facts["captions"]) == ([], 5)
    assert {unicodedata.normalize("NFC", name) for name in repaired(tmp_path)} == {
        name + ending for name in NAMES[page] for ending in ("_start.png", "_end.png", ".txt")
    }


@pytest.mark.parametrize(
    ("name", "page", "label"),
    [
        ("koń", "cp1250", "Windows-1250"),
        ("łąka", "cp852", "code page 852"),
        ("loď", "cp1250", "Windows-1250"),
        ("dům", "cp852", "code page 852"),
        ("où", "cp1252", "Windows-1252"),
        ("grøn", "cp850", "code page 850"),
    ],
)
def test_the_reading_of_names_in_a_code_page_is_confirmed(
    tmp_path: Path, name: str, page: str, label: str
) -> None:
    members = [
        Entry(f"{name}{number}_{half}.png".encode(page), picture(colour=(number, 0, len(half))))
        for number in range(1, 6)
        for half in ("start", "end")
    ]
    verdict = verdict_on(tmp_path, build(members))
    question = f"Are the names right, read as {label}: “{name}1_start.png”?"
    assert [each["sentence"].partition("?")[0] + "?" for each in verdict.questions] == [question]
    assert [pair.index for pair in verdict.pairs] == [f"{name}{number}" for number in range(1, 6)]


def test_names_that_no_code_page_reads_lose_no_pair(tmp_path: Path) -> None:
    raws = [b"\x81", b"\xff\xfe\x5c", b"\x98\x81\x8d\x8f\x90\x9d", b"\xa0\xfd", b"\x80\x5c"]
    members = []
    for number, raw in enumerate(raws):
        members.append(Entry(raw + b"_start.png", picture(colour=(number, 0, 0)), flags=0))
        members.append(Entry(raw + b"_end.png", picture(colour=(number, 0, 90)), flags=0))
    assert len(verdict_on(tmp_path, build(members)).pairs) == 5


@settings(max_examples=examples(60), deadline=None)
@given(raws=st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=4))
def test_a_guess_reads_all_names_or_none(raws: list[bytes]) -> None:
    page = code_pages.guess(raws, code_pages.IN_NAMES)
    if page:
        assert all(isinstance(raw.decode(page), str) for raw in raws)
    assert not any("\\" in code_pages.decode_name(raw, "") for raw in raws)


@pytest.mark.parametrize("halves", [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
def test_composed_and_decomposed_names_meet(tmp_path: Path, halves: tuple[str, str]) -> None:
    files = {}
    for number in range(5):
        for half, form in zip(("start", "end"), halves, strict=True):
            name = unicodedata.normalize(form, f"größe{number}_{half}.png")
            files[name] = picture(colour=(number, 0, len(half)))
        files[f"größe{number}.txt"] = CAPTION
    verdict = verdict_on(tmp_path, files)
    assert (verdict.problems, len(verdict.pairs), verdict.facts["captions"]) == ([], 5, 5)
    assert len(repaired(tmp_path)) == 15


# Captions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "page", "label"),
    [
        ("put a hat on the man’s head", "cp1252", "Windows-1252"),
        ("帽子をかぶせる", "cp932", "Shift-JIS"),
        ("给他戴上帽子", "gb18030", "GBK"),
        ("모자를 씌우다", "cp949", "EUC-KR"),
        ("надень шапку", "cp1251", "Windows-1251"),
        ("帽子をかぶせる", "utf-16-le", "UTF-16"),
        ("给他戴上红色的帽子", "utf-16-be", "UTF-16"),
    ],
)
def test_a_caption_in_a_code_page_is_shown_and_confirmed(
    tmp_path: Path, text: str, page: str, label: str
) -> None:
    verdict = verdict_on(tmp_path, dataset() | {"02.txt": text.encode(page)})
    assert f"reads like {label}" in verdict.problems[0]
    assert verdict.pairs[1].caption == text
    assert [question["code"] for question in verdict.questions] == ["encoding"]
    assert text in verdict.questions[0]["sentence"]
    assert repaired(tmp_path)["02.txt"].decode() == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_read(tmp_path: Path, encoding: str) -> None:
    verdict = verdict_on(tmp_path, dataset() | {"02.txt": "add a hat".encode(encoding)})
    assert verdict.pairs[1].caption == "add a hat"
    assert repaired(tmp_path)["02.txt"] == b"add a hat"


@pytest.mark.parametrize(
    "word",
    ["[trigger]", "[NAME]", "[filewords]", "{trigger}", "[trigger_word]", "<trigger>", "{{trigger word}}"],
)
def test_a_placeholder_is_named(tmp_path: Path, word: str) -> None:
    verdict = verdict_on(tmp_path, dataset() | {"02.txt": f"{word} wears a hat".encode()})
    assert f"“02.txt” has the placeholder {word}, which is trained as it stands" in verdict.warnings[0]


def test_a_caption_in_json_is_read(tmp_path: Path) -> None:
    files = {name.replace(".txt", ".json"): data for name, data in dataset().items()}
    files |= {name: b'{"caption": "add a hat"}' for name in files if name.endswith(".json")}
    verdict = verdict_on(tmp_path, files)
    assert [pair.caption for pair in verdict.pairs] == ["add a hat"] * 5
    assert repaired(tmp_path)["01.txt"] == b"add a hat"


# Anything ---------------------------------------------------------------------------------------------------

FOLDERS = st.sampled_from(
    ["", "", "control/", "target/", "control2/", "a/", "set/input/", "set/", "captions/"]
)
STEMS = st.sampled_from(["01", "02", "cat", "before", "after", "caption", "metadata", "readme", "1"])
SUFFIXES = st.sampled_from(
    ["", "", "_start", "_end", "_before", ".after", "_R", "_T", "_a", "_b", "_control2", "_start2"]
)
ENDINGS = st.sampled_from([".png", ".png", ".jpg", ".txt", ".caption", ".json", ".csv", ".bin", ".PNG", ""])


@settings(max_examples=examples(300), deadline=None)
@given(names=st.sets(st.tuples(FOLDERS, STEMS, SUFFIXES, ENDINGS).map("".join), min_size=1, max_size=9))
def test_every_file_is_in_a_pair_or_in_a_list(names: set[str]) -> None:
    """Of any names at all; a pair without its other half is listed by its index."""
    members = [
        Member(name, name, *zip_names.split_path(name), at, 1, 1, at, 0, name.encode())
        for at, name in enumerate(sorted(names))
    ]
    arrangement = layouts.arrange(members, lambda member: "")
    used = {
        member.label for pair in arrangement.pairs for member in (*pair.images, pair.caption_file) if member
    }
    lists = [name for each in arrangement.lists.values() for name in each]
    refused = arrangement.lists["several inputs"] or arrangement.lists["unclear folders"]
    for member in members:
        is_listed = member.label in lists or any(
            captions.path_without_suffix(member).casefold().startswith(name.casefold())
            or member.stem.casefold().startswith(name.rpartition("/")[2].casefold())
            or member.folder.casefold().endswith(name.casefold())
            for name in lists
        )
        assert member.label in used or is_listed or (refused and layouts.is_image(member))
