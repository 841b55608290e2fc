"""Every hostile archive is rejected with its reason, every honest one passes, both within seconds."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import process_time

import pytest

from finetune_portal.datasets import checker
from finetune_portal.datasets.checker import zip_members
from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.engine import datasets as engine
from finetune_portal.engine.images import pixels
from tests.datasets.corpus.honest import HONEST, LARGEST
from tests.datasets.corpus.hostile import HOSTILE
from tests.datasets.corpus.zip_builder import End, Entry, dataset, entries, extra, packed

IN_CHILD = 10  # every so many archives also go through the process with limits
IN_BOTH = {*[*HONEST][::IN_CHILD], LARGEST}
SECONDS = 15.0  # a quiet machine takes 3; a bomb takes minutes


def of_children() -> float:
    """Seconds of CPU that ended child processes used: what a busy machine does not change."""
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    make, reason = HOSTILE[name]
    path = tmp_path / "dataset.zip"
    path.write_bytes(make())
    begun = process_time()
    problems = inspect_zip(path).problems
    assert process_time() - begun < SECONDS
    assert re.search(reason, " ".join(problems)), problems
    assert all(sentence[0].isupper() or sentence[0] == "“" for sentence in problems)
    assert all(sentence.isprintable() and sentence.endswith(".") for sentence in problems)


@pytest.mark.parametrize("name", [*HOSTILE][::IN_CHILD])
def test_the_process_with_limits_refuses_it_too(tmp_path: Path, name: str) -> None:
    make, reason = HOSTILE[name]
    path = tmp_path / "dataset.zip"
    path.write_bytes(make())
    begun = of_children()
    problems = checker.check_zip(path)["problems"]
    assert of_children() - begun < SECONDS
    assert re.search(reason, " ".join(problems)), problems


@pytest.mark.parametrize(
    "name", [*(name for name in HONEST if name != LARGEST), pytest.param(LARGEST, marks=pytest.mark.long)]
)
def test_an_honest_archive_passes(tmp_path: Path, name: str) -> None:
    """And the local engine can train it. One check for both: the largest has 20,000 files."""
    path = tmp_path / "dataset.zip"
    path.write_bytes(HONEST[name]())
    begun = process_time() + of_children()
    verdict = checker.check_zip(path) if name in IN_BOTH else inspect_zip(path).as_json()
    assert process_time() + of_children() - begun < SECONDS
    assert verdict["problems"] == []
    assert len(verdict["pairs"]) >= 5
    checked = engine.check(path, instance_prompt="a hat", check_image=pixels.check)
    assert checked.pairs == len(verdict["pairs"])


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(HOSTILE) >= 120
    assert len(HONEST) >= 20


@pytest.mark.parametrize("at", [*range(2, 100, 2)])
def test_a_zip_that_is_cut_off_anywhere_is_refused(tmp_path: Path, at: int) -> None:
    """Z1"""
    whole = packed(dataset())
    path = tmp_path / "dataset.zip"
    path.write_bytes(whole[: len(whole) * at // 100])
    assert re.search("cut off|not a readable ZIP", inspect_zip(path).problems[0])


@pytest.mark.parametrize("at", range(0, 100, 4))
def test_a_flipped_bit_is_found(tmp_path: Path, at: int) -> None:
    """Z21: in the data of a member, whichever it is."""
    whole = bytearray(packed(dataset()))
    with (tmp_path / "whole.zip").open("wb+") as file:
        file.write(whole)
        members = zip_members.read_members(file)
    member = members[at % len(members)]
    whole[member.start + member.packed * at // 100] ^= 0x10
    path = tmp_path / "dataset.zip"
    path.write_bytes(whole)
    assert "is damaged in the ZIP" in inspect_zip(path).problems[0]


def test_a_zip_of_over_4_gb_is_checked_in_no_time(tmp_path: Path) -> None:
    """Z16: a file with a hole: only the structure is read here, the pictures lie behind the hole."""
    path, size = tmp_path / "large.zip", 4_300_000_000
    film = Entry(
        "film.bin", size=2**32 - 1, packed_size=2**32 - 1, extra=extra(1, struct.pack("<2Q", size, size))
    )
    head, rest = film.local(), b""
    listing = film.listed(0)
    for entry in entries():
        place = len(head) + size + len(rest)
        entry.extra, entry.local_extra = extra(1, struct.pack("<Q", place)), b""
        listing += entry.listed(2**32 - 1)
        rest += entry.local()
    start = len(head) + size + len(rest)
    with path.open("wb") as file:
        file.write(head)
        file.seek(len(head) + size)
        file.write(rest + listing + End(zip64=True).packed(16, len(listing), start))
    begun = process_time()
    with path.open("rb") as file:
        assert [member.label for member in zip_members.read_members(file)][:2] == ["film.bin", "01_start.png"]
    assert process_time() - begun < 2


def test_unpacking_stops_soon_after_the_declared_size(tmp_path: Path) -> None:
    """Z6"""
    with (tmp_path / "dataset.zip").open("wb+") as file:
        file.write(HOSTILE["unpacks to more than declared"][0]())
        member = zip_members.read_members(file)[-1]
        chunks: list[bytes] = []
        with pytest.raises(checker.ZipRejectedError):
            list(map(chunks.append, zip_members.unpack(file, member)))
    assert 0 < sum(map(len, chunks)) <= member.size + zip_members.CHUNK
