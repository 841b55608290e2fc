"""The tiny model that ships with the portal: a training on it shows, on a pair that it never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from finetune_portal.engine.trainers.lora.distributed import ProcessGroup
from finetune_portal.engine.trainers.lora.training import Training
from finetune_portal.engine.trainers.tiny import edits
from tests.running import ROOT
from tests.train.training import dataset, png, request, spec

SHIPPED = ROOT / "finetune_portal" / "engine" / "trainers" / "tiny" / "model"
STEPS = 100


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, float]]:
    """On five drawn people whose hats hang above them on white cards; its folder, held-out losses by step."""
    work, losses = tmp_path_factory.mktemp("work"), {}

    def emit(event: str, **fields: Any) -> None:
        if event == "held_out":
            losses[fields["step"]] = fields["loss"]

    rng, files = np.random.default_rng(2026), {}
    for number in range(1, 6):
        drawn = edits.put_on_hat(rng, (80, 112))
        files[f"{number:02}_start.png"], files[f"{number:02}_end.png"] = png(drawn.control), png(drawn.target)
    training_spec = spec(dataset(work / "dataset.zip", files), steps=STEPS, sample_steps=STEPS, rank=16)
    Training(work, {**request(training_spec, SHIPPED), "learning_rate": 4e-4}, emit, ProcessGroup()).run()
    return work, losses


def distance(work: Path, sample: str, to: str) -> float:
    """Mean difference of a number of a pixel, 0 to 255."""
    pictures = [np.asarray(Image.open(work / f"{name}.png"), dtype=float) for name in (sample, to)]
    return float(np.abs(pictures[0] - pictures[1]).mean())


def test_the_loss_on_the_held_out_pair_falls(trained: tuple[Path, dict[int, float]]) -> None:
    losses = trained[1]
    assert losses[STEPS] < 0.9 * losses[0]


def test_before_it_keeps_the_picture_and_afterwards_it_makes_the_edit(
    trained: tuple[Path, dict[int, float]],
) -> None:
    work = trained[0]
    before, after = "sample-000000", f"sample-{STEPS:06}"
    assert distance(work, before, "control") < distance(work, before, "target")
    assert distance(work, after, "target") < distance(work, after, "control")


def test_it_is_small_enough_to_ship() -> None:
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()) < 10_000_000
