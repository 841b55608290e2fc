"""The portal's check and the engine read a dataset alike: the same verdict, the same pairs, the same pixels.

They share no code. What only the portal's repair makes usable is judged after the repair.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from PIL import ImageChops

from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.datasets.checker.pixels import open_picture, plain
from finetune_portal.datasets.checker.repair import repair
from finetune_portal.engine import datasets
from finetune_portal.engine.images import pixels
from tests.contract.combinations import PAIRS, TOLERANCE, Combination, covering, dataset
from tests.datasets.corpus.zip_builder import packed, picture, several_inputs

ALL, SHARE = covering(60)
CASES = [
    pytest.param(each, id=str(each), marks=[pytest.mark.slow] if at >= SHARE else [])
    for at, each in enumerate(ALL)
]


@pytest.mark.parametrize(
    "name",
    [
        *("01_start2.png", "01_start10.jpg", "01_start3.png", "cat_start2.png", "in/01_start2.PNG"),
        *(
            "01_start2024.png",
            "01_start02.png",
            "01_start1.png",
            "01_end2.png",
            "start2.png",
            "01_start2.txt",
        ),
        *("__MACOSX/01_start2.png", ".01_start2.png"),
    ],
)
def test_both_name_the_same_files_as_further_inputs(name: str, tmp_path: Path) -> None:
    """What the portal takes as one, or refuses as one without its pair, the engine does not train."""
    path = tmp_path / "dataset.zip"
    path.write_bytes(packed(several_inputs(1) | {name: picture()}))
    verdict = inspect_zip(path)
    if verdict.problems or any(pair.further for pair in verdict.pairs):
        with pytest.raises(datasets.DatasetError, match="is a further input image"):
            datasets.check(path, instance_prompt="", check_image=pixels.check)
    else:
        datasets.check(path, instance_prompt="", check_image=pixels.check)


@pytest.mark.parametrize("combination", CASES)
def test_both_read_a_dataset_alike(combination: Combination, tmp_path: Path) -> None:
    content, shown = dataset(combination)
    path = tmp_path / "dataset.zip"
    path.write_bytes(content)
    verdict = inspect_zip(path)
    if verdict.problems and verdict.repairs:
        repaired = tmp_path / "repaired.zip"
        repair(path, repaired, {})
        path, verdict = repaired, inspect_zip(repaired)
    if verdict.problems:
        with pytest.raises(datasets.DatasetError):
            datasets.check(path, instance_prompt="", check_image=pixels.check)
        return
    assert (
        datasets.check(path, instance_prompt="", check_image=pixels.check).pairs
        == len(verdict.pairs)
        == PAIRS
    )
    with zipfile.ZipFile(path) as archive:
        theirs = {(archive.read(pair.start), archive.read(pair.end), pair.caption) for pair in verdict.pairs}
    pairs = list(datasets.pairs(path, instance_prompt=""))
    ours = {(pair.controls[0].content, pair.target.content, pair.instruction) for pair in pairs}
    assert ours == theirs
    for content in (pair.target.content for pair in pairs):
        with open_picture(BytesIO(content)) as image:
            theirs_seen, seen = plain(image), pixels.decode(content)
        assert theirs_seen.size == seen.size
        difference = ImageChops.difference(theirs_seen, seen)
        assert max(most for _least, most in difference.getextrema()) <= TOLERANCE  # type: ignore[misc]
    colours = {pair.instruction: pixels.decode(pair.target.content).getpixel((9, 9)) for pair in pairs}
    assert colours == {caption: pytest.approx(colour, abs=TOLERANCE) for caption, colour in shown}
