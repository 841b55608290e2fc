"""The simulated trainer: equal trainings give equal files, and the file is what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from finetune_portal.engine.datasets import Dataset
from finetune_portal.engine.trainers.children import Event
from finetune_portal.engine.trainers.current import current_trainer
from finetune_portal.engine.trainers.trainer import TrainingSpec

SPEC = TrainingSpec("Größe & co.", "put a hat on", 300, 0.0004, Dataset(Path("a.zip"), "ab" * 32, 5))


def train(spec: TrainingSpec, folder: Path) -> Path:
    return current_trainer().train(spec, folder / "work", folder, lambda event: None)


def test_equal_trainings_give_equal_files(tmp_path: Path) -> None:
    assert train(SPEC, tmp_path / "a").read_bytes() == train(SPEC, tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, steps=301),
        replace(SPEC, learning_rate=0.0005),
        replace(SPEC, instance_prompt="another"),
        replace(SPEC, dataset=replace(SPEC.dataset, sha256="cd" * 32)),
    ],
)
def test_another_training_gives_other_numbers(other: TrainingSpec, tmp_path: Path) -> None:
    name = "transformer.transformer_blocks.0.attn.to_q.lora_A.weight"
    with (
        safe_open(train(SPEC, tmp_path / "a"), "np") as one,
        safe_open(train(other, tmp_path / "b"), "np") as two,
    ):
        assert not np.array_equal(one.get_tensor(name), two.get_tensor(name))


def test_the_file_opens_and_says_what_it_is(tmp_path: Path) -> None:
    path = train(SPEC, tmp_path)
    assert path.name == "Gr-e-co.safetensors"
    assert path.stat().st_size < 5_000_000
    with safe_open(path, "np") as file:
        metadata = file.metadata()
        names = list(file.keys())
        a = file.get_slice("transformer.transformer_blocks.18.attn.to_out.0.lora_A.weight")
        b = file.get_slice("transformer.transformer_blocks.18.attn.to_out.0.lora_B.weight")
        assert (a.get_shape(), b.get_shape(), a.get_dtype()) == ([4, 3072], [3072, 4], "F16")
    assert len(names) == 19 * 4 * 2
    assert metadata["simulated"] == "true"
    assert metadata["name"] == "Größe & co."
    assert (metadata["steps"], metadata["learning_rate"], metadata["pairs"]) == ("300", "0.0004", "5")
    assert metadata["dataset_sha256"] == "ab" * 32


def test_the_numbers_are_small_and_the_effect_is_none(tmp_path: Path) -> None:
    for name, numbers in load_file(train(SPEC, tmp_path)).items():
        if ".lora_A." in name:
            assert np.all((np.abs(numbers) >= 2**-8) & (np.abs(numbers) < 2**-7))
            assert 0.4 < np.mean(numbers > 0) < 0.6
        else:
            assert not numbers.any()


def test_it_can_be_interrupted(tmp_path: Path) -> None:
    steps: list[int] = []

    def report(event: Event) -> None:
        steps.append(event["step"])
        if event["step"] > 100:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        current_trainer().train(SPEC, tmp_path / "work", tmp_path, report)
    assert steps == sorted(steps)
    assert not list(tmp_path.iterdir())
