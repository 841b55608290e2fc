"""A dataset that the check calls ready has, for the engine, the captions that the check shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.datasets.checker.repair import repair
from finetune_portal.engine import datasets
from finetune_portal.engine.images import pixels
from tests.datasets.corpus.zip_builder import dataset, packed

PICTURES = {name: content for name, content in dataset().items() if name.endswith(".png")}
NUMBERS = range(1, 6)


def captions(name: str, text: str = "add hat {}") -> dict[str, bytes]:
    return {name.format(f"{n:02}"): text.format(n).encode() for n in NUMBERS}


SETS = {
    "the provider's": PICTURES | captions("{}.txt"),
    "kohya's ending": PICTURES | captions("{}.caption"),
    "JSON": PICTURES | captions("{}.json", '"add hat {}"'),
    "of the target": PICTURES | captions("{}_end.txt"),
    "of the input": PICTURES | captions("{}_start.txt"),
    "in a folder": PICTURES | captions("captions/{}.txt"),
    "in a table": PICTURES
    | {
        "metadata.jsonl": b"\n".join(
            b'{"file_name": "%02d_end.png", "text": "add hat %d"}' % (n, n) for n in NUMBERS
        )
    },
    "in capitals": {name.upper(): content for name, content in PICTURES.items()} | captions("{}.TXT"),
    "in other capitals": {
        f"cat{name}" if "start" in name else f"CAT{name.upper()}": content
        for name, content in PICTURES.items()
    }
    | captions("Cat{}.Txt"),
    "in a folder with the pictures": {f"a/{name}": content for name, content in PICTURES.items()}
    | captions("a/{}.txt"),
}


@pytest.mark.parametrize("name", SETS)
def test_ready_means_that_its_captions_are_trained(name: str, tmp_path: Path) -> None:
    path, repaired = tmp_path / "dataset.zip", tmp_path / "repaired.zip"
    path.write_bytes(packed(SETS[name]))
    verdict = inspect_zip(path)
    assert [pair.caption for pair in verdict.pairs] == [f"add hat {n}" for n in NUMBERS]
    if verdict.problems:
        repair(path, repaired, {})
        path, verdict = repaired, inspect_zip(repaired)
    assert verdict.problems == []
    datasets.check(path, instance_prompt="", check_image=pixels.check)
    assert datasets.instructions(path, instance_prompt="") == [pair.caption for pair in verdict.pairs]
