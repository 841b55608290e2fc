"""Whether samples get better as the tiny model trains: distances to the target, before and after.

    .venv-train/bin/python -m tests.bench.samples --folder DATASETS

Trains on the sample dataset of the portal and each ZIP of the folder, with the defaults of form and engine,
and with each way to draw sigmas. The distance is the mean squared difference of colours, from 0 to 255,
between the sample of the held-out pair and its target, in the size of the training. A training takes about a
minute on a core.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import numpy as np
from PIL import Image

from finetune_portal.datasets import sample
from finetune_portal.engine import datasets
from finetune_portal.engine.images import pixels
from finetune_portal.engine.trainers import parameters
from finetune_portal.engine.trainers.lora.distributed import ProcessGroup
from finetune_portal.engine.trainers.lora.training import Training
from tests.running import ROOT

TINY = ROOT / "finetune_portal" / "engine" / "trainers" / "tiny" / "model"
STEPS, LEARNING_RATE = 300, 0.0004


class Distances(NamedTuple):
    """Of the held-out sample to its target, by the untrained model and by the trained one."""

    before: float
    after: float

    @property
    def change(self) -> float:
        """In percent; below 0 the sample got better."""
        return 100 * (self.after / self.before - 1)


def measure(
    zip_file: Path, work: Path, *, seed: int, sampling: str, steps: int = STEPS, model: Path = TINY
) -> Distances:
    """Train once, and compare the first and the last sample with the target."""
    work.mkdir(parents=True, exist_ok=True)
    dataset = datasets.check(zip_file, instance_prompt="", check_image=pixels.check)
    advanced = {"seed": seed, "timestep_sampling": sampling, "sample_steps": steps, "checkpoint_steps": steps}
    request = {
        "name": zip_file.stem,
        "instance_prompt": "",
        "steps": steps,
        "learning_rate": LEARNING_RATE,
        "dataset": str(dataset.path),
        "dataset_sha256": dataset.sha256,
        "model": str(model),
        "model_name": model.name,
        **parameters.with_defaults(parameters.read(advanced)),
    }
    Training(work, request, lambda event, **_: None, ProcessGroup()).run()
    before, after = (_distance(work / f"sample-{step:06}.png", work / "target.png") for step in (0, steps))
    return Distances(before, after)


def _distance(sample_file: Path, target_file: Path) -> float:
    colours = [np.asarray(Image.open(path), dtype=float) for path in (sample_file, target_file)]
    return float(((colours[0] - colours[1]) ** 2).mean())


def sample_dataset(folder: Path) -> Path:
    path = folder / "sample.zip"
    path.write_bytes(sample.make())
    return path


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="a folder with more datasets")
    parser.add_argument("--only", nargs="+", help="names of datasets, without .zip")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sampling", nargs="+", default=["shifted", "uniform"])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--model", type=Path, default=TINY)
    parser.add_argument("--keep", type=Path, help="a folder for the pictures")
    options = parser.parse_args(arguments)
    say(f"{options.steps} steps, learning rate {LEARNING_RATE}; mean squared difference to the target")
    say("| dataset | seed | sigmas | base | trained | change |\n| --- | --- | --- | --- | --- | --- |")
    with TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        zips = [sample_dataset(folder), *sorted(options.folder.glob("*.zip") if options.folder else [])]
        for path in [each for each in zips if not options.only or each.stem in options.only]:
            for seed in options.seeds:
                for sampling in options.sampling:
                    work = folder / f"{path.stem}-{seed}-{sampling}"
                    distances = measure(
                        path, work, seed=seed, sampling=sampling, steps=options.steps, model=options.model
                    )
                    before, after = (f"{each:.0f}" for each in distances)
                    change = f"{distances.change:+.0f} %"
                    say(f"| {path.stem} | {seed} | {sampling} | {before} | {after} | {change} |")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
