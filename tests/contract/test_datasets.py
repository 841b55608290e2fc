"""The portal's check and the engine read a dataset alike: the same verdict, the same pairs, the same pixels.

They share no code. What only the portal's repair makes usable is judged after the repair.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from PIL import ImageChops

from finetune_portal.datasets.checker import inspect_zip
from finetune_portal.datasets.checker.pixels import open_picture, plain
from finetune_portal.datasets.checker.repair import repair
from finetune_portal.engine import datasets, images
from tests.contract.combinations import PAIRS, TOLERANCE, Combination, covering, dataset

ALL, SHARE = covering(60)
CASES = [
    pytest.param(each, id=str(each), marks=[pytest.mark.slow] if at >= SHARE else [])
    for at, each in enumerate(ALL)
]


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
            datasets.check(path, instance_prompt="")
        return
    assert datasets.check(path, instance_prompt="").pairs == len(verdict.pairs) == PAIRS
    with zipfile.ZipFile(path) as archive:
        theirs = {(archive.read(pair.start), archive.read(pair.end), pair.caption) for pair in verdict.pairs}
    pairs = list(datasets.pairs(path, instance_prompt=""))
    assert {(pair.control, pair.target, pair.instruction) for pair in pairs} == theirs
    for content in (pair.target for pair in pairs):
        with open_picture(BytesIO(content)) as image:
            theirs_seen, seen = plain(image), images.decode(content)
        assert theirs_seen.size == seen.size
        difference = ImageChops.difference(theirs_seen, seen)
        assert max(most for _least, most in difference.getextrema()) <= TOLERANCE
    colours = {pair.instruction: images.decode(pair.target).getpixel((9, 9)) for pair in pairs}
    assert colours == {caption: pytest.approx(colour, abs=TOLERANCE) for caption, colour in shown}
