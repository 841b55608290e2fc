"""Several processes at one training: as many as GPUs are given to it. Here without a GPU, on the CPU."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft.utils import get_peft_model_state_dict
from safetensors import safe_open

from finetune_portal.engine.trainers import devices
from finetune_portal.engine.trainers.lora.distributed import Group
from finetune_portal.engine.trainers.lora.training import Training
from tests.running import RunningEngine, start_engine
from tests.train.jobs import at_step, begun, children, ended, events, until, weights
from tests.train.training import dataset, spec, training

STEPS = 12


@pytest.fixture
def pair_of_gpus(model: Path, tmp_path: Path) -> Iterator[RunningEngine]:
    """It believes that there are two, and gives both to one training."""
    own = {
        "KONTEXT_MODEL_DIR": str(model),
        "CUDA_VISIBLE_DEVICES": "0,1",
        "ENGINE_GPUS_PER_TRAINING": "2",
        "OMP_NUM_THREADS": "1",
    }
    with start_engine(tmp_path / "data", **own) as running:
        yield running


class Still(Group):
    """Keeps its gradients as they are."""

    def average(self, tensors: list[torch.Tensor]) -> None:
        pass


class Mean(Group):
    """Of its own gradients and those of the other one."""

    other: Training

    def average(self, tensors: list[torch.Tensor]) -> None:
        for own, other in zip(tensors[:-1], self.other.learner.trained, strict=True):
            own.copy_((own + other.grad) / 2)


def one_after_the_other(model: Path, folder: Path) -> dict[str, torch.Tensor]:
    """The LoRA that two processes must come to, worked out in this one."""
    told = spec(dataset(folder / "a.zip"), steps=STEPS, warmup_steps=2)
    group = Mean(0, 2)
    first, second = training(told, model, folder, group), training(told, model, folder, Still(1, 2))
    group.other = second
    for step in range(STEPS):
        for own, other in zip(first.learner.trained, second.learner.trained, strict=True):
            other.data.copy_(own.data)
        second.learner.step(step, second._batch(step))
        first.learner.step(step, first._batch(step))
    found = get_peft_model_state_dict(first.transformer)
    return {f"transformer.{name}": each for name, each in found.items()}


def test_two_processes_train_one_lora_and_a_killed_one_is_no_loss(
    pair_of_gpus: RunningEngine, model: Path, tmp_path: Path
) -> None:
    job = begun(pair_of_gpus, steps=STEPS, checkpoint_steps=4)
    at_step(pair_of_gpus, job, 5)
    _launcher, _first, second = sorted(children(pair_of_gpus, job))
    os.kill(second, signal.SIGKILL)
    told = ended(pair_of_gpus, job)
    until(lambda: not children(pair_of_gpus, job))
    assert [each["processes"] for each in events(pair_of_gpus, job, "started")] == [2, 2]
    assert [each["step"] for each in events(pair_of_gpus, job, "done")] == [STEPS]

    path = tmp_path / "lora.safetensors"
    path.write_bytes(weights(pair_of_gpus, told))
    plain = one_after_the_other(model, tmp_path)
    with safe_open(path, "pt") as file:
        assert file.metadata()["batch_size"] == "2"
        assert set(file.keys()) == set(plain)
        for name in plain:
            torch.testing.assert_close(file.get_tensor(name), plain[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("visible", "each", "places"),
    [
        ("0,1,2", "1", ["0", "1", "2"]),
        ("0,1,2,3", "2", ["0,1", "2,3"]),
        ("0,1,2", "2", ["0,1"]),
        ("0", "2", ["0"]),
        ("", "2", [""]),
    ],
)
def test_gpus_are_shared_out(
    monkeypatch: pytest.MonkeyPatch, visible: str, each: str, places: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setenv("ENGINE_GPUS_PER_TRAINING", each)
    assert devices.found() == places
