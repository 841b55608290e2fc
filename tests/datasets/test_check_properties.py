"""The check returns a verdict of the stated shape for any bytes and never raises (Z22)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from finetune_portal.datasets import checker
from finetune_portal.datasets.checker import zip_members
from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.datasets.checker.repair import repair
from tests.datasets.corpus.honest import HONEST
from tests.datasets.corpus.zip_builder import Entry, build, dataset, entries, packed, picture
from tests.examples import examples

FEW = settings(
    max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SOURCES = ("Python, deflated", "macOS Finder", "Java's jar", "zip64 in every member", "unusual pictures")
KEYS = {*("problems", "warnings", "pairs", "facts", "layout", "repairs", "questions", "placeholders")}
FACTS = {"files", "pairs", "captions", "bytes", "unpacked"}
LAYOUTS = {"flat", "folder", "folders", "names", "guess", "two folders", "metadata", "unknown"}


@cache
def honest(name: str) -> bytes:
    return HONEST[name]()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "dataset.zip"


def all_sentences(verdict: dict[str, Any]) -> list[str]:
    asked = [question["sentence"] for question in verdict["questions"]]
    return [*verdict["problems"], *verdict["warnings"], *asked]


def judged(path: Path, data: bytes) -> dict[str, Any]:
    """The verdict on `data`, through JSON; asserts that it has the stated shape."""
    path.write_bytes(data)
    verdict: dict[str, Any] = json.loads(json.dumps(inspect_zip(path).as_json()))
    assert verdict.keys() == KEYS
    assert all(isinstance(text, str) and text.isprintable() for text in all_sentences(verdict))
    assert verdict["facts"].keys() == FACTS
    assert all(isinstance(number, int) for number in verdict["facts"].values())
    assert verdict["facts"]["bytes"] == len(data)
    assert verdict["layout"] in LAYOUTS
    for each in verdict["repairs"] + verdict["questions"]:
        assert each.keys() - {"choices"} == {"code", "sentence"}
    for pair in verdict["pairs"]:
        assert pair.keys() == {"index", "start", "end", "caption", "start_size", "end_size"}
        assert all(len(pair[size]) == 2 for size in ("start_size", "end_size"))
    assert verdict["problems"] or verdict["pairs"]
    return verdict


@FEW
@given(data=st.binary(max_size=2_000))
def test_any_bytes(place: Path, data: bytes) -> None:
    assert judged(place, data)["problems"]


@FEW
@given(
    source=st.sampled_from(SOURCES),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=4,
    ),
)
def test_bytes_changed_anywhere(place: Path, source: str, changes: list[tuple[float, bytes]]) -> None:
    data = bytearray(honest(source))
    for where, new in changes:
        at = int(where * len(data))
        data[at : at + len(new)] = new
    judged(place, bytes(data))


@FEW
@given(
    source=st.sampled_from(SOURCES),
    cut=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    new=st.binary(max_size=40),
)
def test_a_part_cut_out_or_put_in(place: Path, source: str, cut: tuple[float, float], new: bytes) -> None:
    data = honest(source)
    first, last = sorted(int(where * len(data)) for where in cut)
    judged(place, data[:first] + new + data[last:])


@FEW
@given(
    fields=st.fixed_dictionaries(
        {},
        optional={
            "method": st.sampled_from([0, 8, 9, 99]),
            "flags": st.integers(0, 0xFFFF),
            "crc": st.integers(0, 2**32 - 1),
            "size": st.integers(0, 2**32 - 1),
            "packed_size": st.integers(0, 2**32 - 1),
            "offset": st.integers(0, 2**32 - 1),
            "mode": st.integers(0, 0xFFFF),
            "version": st.integers(0, 255),
            "disk": st.integers(0, 0xFFFF),
            "extra": st.binary(max_size=40),
            "local_extra": st.binary(max_size=40),
            "local_flags": st.integers(0, 0xFFFF),
            "descriptor": st.binary(max_size=30),
            "gap": st.binary(max_size=8),
        },
    ),
    name=st.binary(max_size=40),
    data=st.binary(max_size=200),
)
def test_any_header(place: Path, fields: dict[str, Any], name: bytes, data: bytes) -> None:
    judged(place, build([*entries(dataset(1)), Entry(name, data, **fields)]))


@FEW
@given(name=st.text(max_size=60))
@example("../x")
@example("a\\..\\..\\x")
@example("\uff0e\uff0e/x")
def test_no_name_that_passes_leads_out(place: Path, name: str) -> None:
    """Z12"""
    raw = name.encode("utf-8", "surrogatepass")
    place.write_bytes(build([*entries(), Entry(raw, flags=0x800)]))
    with place.open("rb") as file:
        try:
            members = zip_members.read_members(file)
        except checker.ZipRejectedError:
            return
    for member in members:
        for slashed in (member.label, member.label.replace("\\", "/")):
            assert not slashed.startswith("/")
            assert ".." not in slashed.split("/")
            assert "\0" not in slashed


@FEW
@given(caption=st.binary(max_size=300), start=st.binary(max_size=300), table=st.binary(max_size=300))
def test_any_content(place: Path, caption: bytes, start: bytes, table: bytes) -> None:
    judged(
        place,
        packed(
            dataset() | {"01.txt": caption, "02_start.png": picture()[:33] + start, "metadata.jsonl": table}
        ),
    )


rows = st.dictionaries(
    st.sampled_from(["file_name", "source", "target", "text", "prompt", "x"]),
    st.one_of(
        st.sampled_from(["a/1.png", "b/1.png", "a/2.png", "b/2.png", "../1.png", "/"]),
        st.none(),
        st.integers(),
        st.text(),
    ),
)


@FEW
@given(table=st.lists(rows, max_size=8))
def test_any_table(place: Path, table: list[dict[str, Any]]) -> None:
    files = {
        f"{folder}/{n}.png": picture(colour=(n, 1, len(folder))) for folder in ("a", "b") for n in (1, 2)
    }
    files["metadata.jsonl"] = "\n".join(map(json.dumps, table)).encode()
    judged(place, packed(files))


@FEW
@given(
    kinds=st.lists(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP"]), min_size=2, max_size=6),
    names=st.lists(st.text("ab1_ /é", min_size=1, max_size=6), min_size=1, max_size=3, unique=True),
    caption=st.text(max_size=40).map(str.encode)
    | st.just(b"\xef\xbb\xbfhat")
    | st.just("hat".encode("utf-16"))
    | st.just("the man’s hat".encode("cp1252"))
    | st.just("帽子".encode("shift-jis")),
)
def test_what_can_be_repaired_is_then_in_order(
    place: Path, kinds: list[str], names: list[str], caption: bytes
) -> None:
    files = {}
    for number, name in enumerate(names):
        for half in ("start", "end"):
            files[f"{name}_{half}.png"] = picture(kinds[number % len(kinds)], colour=(number, 1, len(half)))
        files[f"{name}.txt"] = caption
    before = judged(place, packed(files))
    target = place.with_name("repaired.zip")
    if before["problems"] and not before["repairs"]:
        return
    repair(place, target, {})
    after = judged(target, target.read_bytes())
    assert after["problems"] == after["repairs"] == []
    assert len(after["pairs"]) == len(before["pairs"])
