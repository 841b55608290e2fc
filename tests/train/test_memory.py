"""A base model in 8 bits, as smaller cards hold it. 4 bits need a GPU, and are not run here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finetune_portal.engine.trainers.lora.training import Training
from finetune_portal.engine.trainers.memory import choose_to_resume
from tests.train.training import dataset, spec, training


def prepared(model: Path, folder: Path, memory: str) -> Training:
    training_spec = spec(dataset(folder / "a.zip"), warmup_steps=0, memory=memory)
    return training(replace(training_spec, learning_rate=1e-3), model, folder)


@pytest.mark.parametrize("family", ["model", "klein", "qwen"])
def test_a_base_model_in_8_bits_answers_nearly_the_same_and_trains(
    family: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    full, int8 = (prepared(request.getfixturevalue(family), tmp_path / way, way) for way in ("full", "int8"))
    kinds = {type(each.data).__name__ for each in int8.transformer.parameters()}
    assert kinds == {"Tensor", "Int8Tensor"}
    noise, sigmas = full.learner.sample_noise(0, full.batch(0))
    with torch.no_grad():
        answers = [
            each.model.velocity(each.transformer, noise, each.batch(0), sigmas, 1.0) for each in (full, int8)
        ]
    assert 0 < float((answers[0] - answers[1]).norm() / answers[0].norm()) < 0.02
    with torch.no_grad():
        before = float(int8.learner.loss(int8.batch(0), noise, sigmas))
    for _ in range(12):
        int8.learner.step(0, int8.batches(0))
    with torch.no_grad():
        assert float(int8.learner.loss(int8.batch(0), noise, sigmas)) < before
    for each in (full, int8):
        each.save_lora()
    shapes = [
        {
            name: (value.shape, value.dtype)
            for name, value in load_file(each.work / "weights.safetensors").items()
        }
        for each in (full, int8)
    ]
    assert shapes[0] == shapes[1]
    assert int8.model.generate(int8.transformer, int8.validation_example, int8.validation_batch, seed=1)


def test_what_began_in_4_bits_goes_on_in_them(tmp_path: Path, model: Path) -> None:
    begun = prepared(model, tmp_path, "auto")
    begun.learner.step(0, begun.batches(0))
    begun.save_checkpoint(1)
    own = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert choose_to_resume("auto", own) == "full", "on a smaller card, too"
    assert choose_to_resume("auto", None) == "auto", "a new training"
    assert own.pop("memory") == "full"
    assert choose_to_resume("auto", own) == "auto", "of an earlier release"
    of_bitsandbytes = {"step": 1, "state1": torch.zeros(4), "state2": torch.zeros(4)}
    optimizer = {**own["optimizer"], "state": dict.fromkeys(own["optimizer"]["state"], of_bitsandbytes)}
    in_4_bits = {**own, "optimizer": optimizer}
    assert choose_to_resume("auto", in_4_bits) == "small"
    assert choose_to_resume("full", in_4_bits) == "full", "as was asked"
