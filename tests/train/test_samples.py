"""Samples get better as the tiny model trains, and they would not where sigmas are not those of a sample."""

from __future__ import annotations

from pathlib import Path

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
