"""Pairs with several input images: which files are such, what is said of them, how they are shown."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.datasets import previews
from finetune_portal.datasets.checker import Verdict
from finetune_portal.datasets.checker.inspect import Seen, inspect_slice, inspect_zip
from finetune_portal.datasets.checker.repair import repair
from finetune_portal.datasets.checker.zip_names import split_path
from finetune_portal.datasets.models import Dataset
from tests.datasets.corpus.zip_builder import dataset, packed, picture, several_inputs
from tests.datasets.test_checking_in_slices import slice_of
from tests.datasets.test_previews import status_of
from tests.datasets.uploads import upload
from tests.people import made_preview, make_dataset, signed_in

ONE, OTHER = picture(colour=(1, 1, 1)), picture(colour=(2, 2, 2))
WARNING = "The pairs have up to {} input images, which not every trainer takes."


def verdict_on(tmp_path: Path, further: dict[str, bytes]) -> Verdict:
    path = tmp_path / "dataset.zip"
    path.write_bytes(packed(dataset() | further))
    return inspect_zip(path)


def test_further_inputs_belong_to_their_pair(tmp_path: Path) -> None:
    verdict = verdict_on(
        tmp_path, {"01_start3.png": ONE, "01_start2.JPG": picture("JPEG"), "02_START2.png": ONE}
    )
    assert (verdict.problems, verdict.repairs) == ([], [])
    assert verdict.warnings == [WARNING.format(3)]
    assert [[name for name, _ in pair.further] for pair in verdict.pairs] == [
        ["01_start2.JPG", "01_start3.png"],
        ["02_START2.png"],
        *([], [], []),
    ]
    first = verdict.as_json()["pairs"][0]
    assert (first["start2"], first["start3"], first["start3_size"]) == (
        "01_start2.JPG",
        "01_start3.png",
        [320, 256],
    )


@pytest.mark.parametrize(
    "name",
    ["shot_start2024.png", "01_start02.png", "01_start1.png", "01_end2.png", "start2.png", "restart2.png"],
)
def test_a_name_that_only_looks_alike_is_no_further_input(tmp_path: Path, name: str) -> None:
    verdict = verdict_on(tmp_path, {name: ONE})
    assert not any(pair.further for pair in verdict.pairs)
    assert (verdict.problems, verdict.warnings) == ([], [f"“{name}” belongs to no pair and is left out."])


def test_a_pair_may_have_the_word_in_its_name(tmp_path: Path) -> None:
    pair = {"cat_start2_start.png": ONE, "cat_start2_end.png": OTHER, "cat_start2.txt": b"a hat"}
    verdict = verdict_on(tmp_path, pair)
    assert (verdict.problems, verdict.warnings) == ([], [])
    assert [(each.index, each.further) for each in verdict.pairs][-1] == ("cat_start2", ())


@pytest.mark.parametrize(
    ("further", "problem"),
    [
        ({"01_start3.png": ONE}, "A number is missing among the input images of “01”."),
        ({"cat_start2.png": ONE}, "“cat” has no _start picture."),
        ({"in/01_start2.png": ONE}, "“in/01” has no _start picture."),
        ({"01_start2.png": ONE, "01_start2.jpg": OTHER}, "There are two pictures called “01_start2”."),
        ({"01_start2.png": ONE[:99]}, "“01_start2.png” is damaged"),
        ({"01_start2.png": b"%PDF-1.7"}, "“01_start2.png” is really a PDF"),
        (
            {f"02_start{number}.png": picture(colour=(number, 0, 0)) for number in range(2, 12)},
            "“02” has more than 10 input images, which no trainer takes.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_training_can_take_is_a_problem(
    tmp_path: Path, further: dict[str, bytes], problem: str
) -> None:
    problems = verdict_on(tmp_path, further).problems
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_ten_inputs_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "dataset.zip"
    path.write_bytes(packed(several_inputs(10)))
    verdict = inspect_zip(path)
    assert (verdict.problems, verdict.warnings) == ([], [WARNING.format(10)])


def test_a_repair_keeps_all_inputs_in_their_order(tmp_path: Path) -> None:
    names = {f"set/{name}": content for name, content in several_inputs(3).items()}
    names["set/01_start2.png"] = picture("WEBP", colour=(9, 9, 9))
    source, copy = tmp_path / "dataset.zip", tmp_path / "copy.zip"
    source.write_bytes(packed(names))
    repair(source, copy, {})
    assert inspect_zip(copy).problems == inspect_zip(copy).repairs == []
    with zipfile.ZipFile(copy) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    assert content.keys() == {split_path(name)[1] + split_path(name)[2] for name in names}
    assert content["02_start3.png"] == names["set/02_start3.png"]


def test_pairs_that_differ_in_a_further_input_are_not_the_same(tmp_path: Path) -> None:
    copy = {name.replace("01", "06"): content for name, content in dataset().items() if "01" in name}
    verdict = verdict_on(tmp_path, copy | {"06_start2.png": ONE})
    assert not any("same pair" in warning for warning in verdict.warnings)


def test_a_check_begun_by_an_earlier_release_looks_at_them(tmp_path: Path) -> None:
    """It had verified further inputs as strays."""
    path = tmp_path / "dataset.zip"
    path.write_bytes(packed(several_inputs(2)))
    seen: Seen = {f"{number:02}_start2.png": [None, None, []] for number in range(1, 6)}
    verdict = inspect_slice(path, seen, seconds=60).verdict
    assert verdict is not None
    assert len(verdict.pairs) == 5


def test_the_dataset_says_how_many_there_are(alice: User) -> None:
    row = slice_of(upload(alice, packed(several_inputs(3))), seconds=60)
    assert (row.state, row.pair_count, row.most_inputs) == (Dataset.State.READY, 5, 3)
    page = signed_in(alice).get(f"/datasets/{row.pk}/").content.decode()
    assert "5 pairs, 5 with a caption, up to 3 input images a pair" in page
    form = signed_in(alice).get("/jobs/new/").content.decode()
    assert "5 pairs, up to 3 input images a pair ·" in form


def test_a_dataset_with_one_input_a_pair_says_nothing_of_it(alice: User) -> None:
    row = slice_of(upload(alice, packed(dataset())), seconds=60)
    assert row.most_inputs == 1
    assert "input images" not in signed_in(alice).get(f"/datasets/{row.pk}/").content.decode()


def test_further_inputs_are_shown_beside_their_pair(alice: User) -> None:
    row = make_dataset(alice, data=packed(several_inputs(3, pairs=1)))
    client = signed_in(alice)
    small, large = (f"/datasets/{row.pk}/0-start3-{edge}.webp" for edge in previews.EDGES)
    assert status_of(made_preview(client, small)) == 200
    for page in ("", "captions/"):
        assert f'src="{small}" alt="Input 3"' in client.get(f"/datasets/{row.pk}/{page}").content.decode()
    assert f'src="{large}?pending"' in client.get(f"/datasets/{row.pk}/pairs/0/").content.decode()
    assert status_of(made_preview(client, large)) == 200
    assert client.get(small.replace("start3", "start4")).status_code == 404
