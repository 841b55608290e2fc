"""One training by several processes, as with several GPUs; here on the CPU."""

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
from finetune_portal.engine.trainers.lora.distributed import ProcessGroup
from finetune_portal.engine.trainers.lora.training import Training
from tests.running import RunningEngine, start_engine
from tests.train.jobs import at_step, begun, children, ended, events, until, weights
from tests.train.training import dataset, spec, training

STEPS = 12


@pytest.fixture
def pair_of_gpus(model: Path, tmp_path: Path) -> Iterator[RunningEngine]:
    """An engine that believes in two GPUs and gives both to one training."""
    own = {
        "KONTEXT_MODEL_DIR": str(model),
        "CUDA_VISIBLE_DEVICES": "0,1",
        "ENGINE_GPUS_PER_TRAINING": "2",
        "OMP_NUM_THREADS": "1",
    }
    with start_engine(tmp_path / "data", **own) as running:
        yield running


class LocalGroup(ProcessGroup):
    """Keeps its gradients as they are."""

    def all_reduce_mean(self, tensors: list[torch.Tensor]) -> None:
        pass


class PairGroup(ProcessGroup):
    """Takes the mean of its own gradients and those of another training."""

    other: Training

    def all_reduce_mean(self, tensors: list[torch.Tensor]) -> None:
        for own, other in zip(tensors[:-1], self.other.learner.parameters, strict=True):
            own.copy_((own + other.grad) / 2)


def train_in_one_process(model: Path, folder: Path) -> dict[str, torch.Tensor]:
    """The LoRA that two processes must come to, trained in this one."""
    training_spec = spec(dataset(folder / "a.zip"), steps=STEPS, warmup_steps=2)
    group = PairGroup(0, 2)
    first, second = (
        training(training_spec, model, folder, group),
        training(training_spec, model, folder, LocalGroup(1, 2)),
    )
    group.other = second
    for step in range(STEPS):
        for own, other in zip(first.learner.parameters, second.learner.parameters, strict=True):
            other.data.copy_(own.data)
        second.learner.step(step, second.batches(step))
        first.learner.step(step, first.batches(step))
    lora = get_peft_model_state_dict(first.transformer)
    return {f"transformer.{name}": each for name, each in lora.items()}


def test_two_processes_train_one_lora_though_one_is_killed(
    pair_of_gpus: RunningEngine, model: Path, tmp_path: Path
) -> None:
    job = begun(pair_of_gpus, steps=STEPS, checkpoint_steps=4)
    at_step(pair_of_gpus, job, 5)
    _launcher, _first, second = sorted(children(pair_of_gpus, job))
    os.kill(second, signal.SIGKILL)
    job_details = ended(pair_of_gpus, job)
    until(lambda: not children(pair_of_gpus, job))
    assert [each["processes"] for each in events(pair_of_gpus, job, "started")] == [2, 2]
    assert [each["step"] for each in events(pair_of_gpus, job, "done")] == [STEPS]

    path = tmp_path / "lora.safetensors"
    path.write_bytes(weights(pair_of_gpus, job_details))
    plain = train_in_one_process(model, tmp_path)
    with safe_open(path, "pt") as file:
        assert file.metadata()["batch_size"] == "2"
        assert set(file.keys()) == set(plain)
        for name in plain:
            torch.testing.assert_close(file.get_tensor(name), plain[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("visible", "each", "groups"),
    [
        ("0,1,2", "1", ["0", "1", "2"]),
        ("0,1,2,3", "2", ["0,1", "2,3"]),
        ("0,1,2", "2", ["0,1"]),
        ("0", "2", ["0"]),
        ("", "2", [""]),
    ],
)
def test_gpus_are_divided_among_trainings(
    monkeypatch: pytest.MonkeyPatch, visible: str, each: str, groups: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setenv("ENGINE_GPUS_PER_TRAINING", each)
    assert devices.find() == groups
