"""Samples get better as the tiny model trains, and they would not where sigmas are not those of a sample."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bench.samples import measure, sample_dataset

STEPS = 30  # with more, the sample of either is as near as it gets


def test_a_sample_gets_nearer_to_its_target(tmp_path: Path) -> None:
    """Day to night: by a fifth at least, and nearer than with uniform sigmas."""
    zip_file = sample_dataset(tmp_path)
    shifted, uniform = (
        measure(zip_file, tmp_path / sampling, seed=0, sampling=sampling, steps=STEPS)
        for sampling in ("shifted", "uniform")
    )
    assert shifted.before == uniform.before
    assert shifted.after < 0.8 * shifted.before
    assert shifted.after < uniform.after


@pytest.mark.slow
@pytest.mark.skipif("VENDOR_DATASETS" not in os.environ, reason="VENDOR_DATASETS names no folder")
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ["bigger-head.zip", "hat-overlay.zip"])
def test_samples_of_the_vendors_datasets_get_nearer_by_a_fifth(name: str, seed: int, tmp_path: Path) -> None:
    """With the steps and the learning rate of the form."""
    zip_file = Path(os.environ["VENDOR_DATASETS"]) / name
    assert measure(zip_file, tmp_path / "work", seed=seed, sampling="shifted").change < -20
