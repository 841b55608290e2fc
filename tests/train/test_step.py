"""One step of the trainer, compared with the same step written out from what is known of FLUX.1-Kontext."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxKontextPipeline
from torch import Tensor

from finetune_portal.engine import datasets
from finetune_portal.engine.trainers.lora.dataset import load_examples
from finetune_portal.engine.trainers.lora.training import Training
from tests.train.training import WORDS, dataset, picture, spec, training, turned_colours

SIDE = 64
SHIFT = math.exp(1.15)  # of the tiny model's schedule


@pytest.fixture(scope="module")
def pipe(model: Path) -> FluxKontextPipeline:
    return FluxKontextPipeline.from_pretrained(model)


@pytest.fixture
def trainer(model: Path, tmp_path: Path) -> Training:
    training_spec = spec(
        dataset(tmp_path / "a.zip"), warmup_steps=0, gradient_clipping=1000.0, guidance=1.5, seed=3
    )
    return training(training_spec, model, tmp_path / "work")


def latents(pipe: FluxKontextPipeline, image: Any) -> Tensor:
    pixels = torch.tensor(np.array(image)).float().permute(2, 0, 1)[None] / 255 * 2 - 1
    distribution = pipe.vae.encode(pixels).latent_dist.mean
    return (distribution - pipe.vae.config.shift_factor) * pipe.vae.config.scaling_factor


def tokens(image: Tensor, first_id: int) -> tuple[Tensor, Tensor]:
    """Square by square, each with its ids."""
    _one, _channels, height, width = image.shape
    squares = [(row, column) for row in range(height // 2) for column in range(width // 2)]
    each = [
        image[0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten() for row, column in squares
    ]
    return torch.stack(each)[None], torch.tensor([[first_id, *place] for place in squares]).float()


def plain_loss(
    pipe: FluxKontextPipeline, transformer: Any, pair: int, *, seed: int, guidance: float
) -> Tensor:
    """Of a pair of `turned_colours`, with the noise and the sigma that the seed gives."""
    control = picture(pair, (SIDE, SIDE))
    target = np.array(control)[..., ::-1].copy()
    with torch.no_grad():
        x, c = latents(pipe, target), latents(pipe, control)
        prompt, pooled, text_ids = pipe.encode_prompt(WORDS, None, max_sequence_length=24)
    generator = torch.Generator().manual_seed(seed)
    noise, even = torch.randn(x.shape, generator=generator), torch.rand(1, generator=generator)
    sigma = SHIFT * even / (1 + (SHIFT - 1) * even)
    noisy, ids = tokens((1 - sigma) * x + sigma * noise, 0)
    controls, control_ids = tokens(c, 1)
    velocity, _ = tokens(noise - x, 0)
    answer = transformer(
        hidden_states=torch.cat([noisy, controls], dim=1),
        timestep=sigma,
        guidance=torch.tensor([guidance]),
        pooled_projections=pooled,
        encoder_hidden_states=prompt,
        txt_ids=text_ids,
        img_ids=torch.cat([ids, control_ids]),
    ).sample
    return ((answer[:, : velocity.shape[1]] - velocity) ** 2).mean()


def test_the_loss_of_a_step_equals_a_plain_computation(trainer: Training, pipe: FluxKontextPipeline) -> None:
    """With a seed of 3, step 0 draws by 3 * 1,000,003. The LoRA changes nothing yet."""
    plain = plain_loss(pipe, pipe.transformer, first_pair(trainer), seed=3_000_009, guidance=1.5)
    assert trainer.learner.step(0, trainer.batches(0)) == pytest.approx(plain.item(), rel=1e-4)


def first_pair(trainer: Training) -> int:
    """The number of the pair that step 0 is about; pair 1 is held out."""
    batch = trainer.batch(0)
    return 2 + next(i for i, each in enumerate(trainer.encoded) if torch.equal(each.targets, batch.targets))


def test_a_step_moves_the_lora_as_adamw_does_with_the_plain_gradient(
    trainer: Training, pipe: FluxKontextPipeline
) -> None:
    """The first step of AdamW is the rate against the gradient's sign, where the gradient is not tiny."""
    names = [name for name, each in trainer.transformer.named_parameters() if each.requires_grad]
    before = [each.detach().clone() for each in trainer.learner.parameters]
    loss = plain_loss(pipe, trainer.transformer, first_pair(trainer), seed=3_000_009, guidance=1.5)
    gradients = torch.autograd.grad(loss, trainer.learner.parameters)
    trainer.learner.step(0, trainer.batches(0))
    learning_rate = trainer.request["learning_rate"]
    for name, old, new, gradient in zip(names, before, trainer.learner.parameters, gradients, strict=True):
        wanted = old * (1 - learning_rate * 1e-4) - learning_rate * gradient / (gradient.abs() + 1e-8)
        clear = gradient.abs() > 1e-5
        torch.testing.assert_close(new.detach()[clear], wanted[clear], rtol=0, atol=1e-5, msg=name)
        if ".lora_B." in name:
            assert clear.any(), name


def test_gradients_reach_only_the_lora(trainer: Training) -> None:
    before = {name: each.detach().clone() for name, each in trainer.transformer.named_parameters()}
    for step in range(3):
        trainer.learner.step(step, trainer.batches(step))
    for name, each in trainer.transformer.named_parameters():
        is_lora = ".lora_A." in name or ".lora_B." in name
        assert each.requires_grad == is_lora, name
        assert (each.grad is not None and bool(each.grad.any())) == is_lora, name
        assert torch.equal(each, before[name]) != is_lora, name
    others = [*trainer.model.vae.parameters()]
    assert not any(each.requires_grad for each in others)


def test_a_step_of_several_batches_has_their_mean_gradient(model: Path, tmp_path: Path) -> None:
    training_spec = spec(
        dataset(tmp_path / "a.zip"), warmup_steps=0, gradient_clipping=1000.0, gradient_accumulation_steps=3
    )
    trainer = training(training_spec, model, tmp_path / "work")
    learner = trainer.learner
    batches = [trainer.batch(number) for number in range(6)]
    assert [torch.equal(a.targets, b.targets) for a, b in zip(trainer.batches(1), batches[3:], strict=True)]
    losses = [
        learner.loss(batch, *learner.sample_noise(number, batch)) for number, batch in enumerate(batches[:3])
    ]
    mean = torch.stack(losses).mean()
    gradients = torch.autograd.grad(mean, learner.parameters)
    assert learner.step(0, trainer.batches(0)) == pytest.approx(mean.item(), rel=1e-6)
    for parameter, gradient in zip(learner.parameters, gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-8)


def test_the_learning_rate_falls_as_a_cosine_after_its_warm_up(model: Path, tmp_path: Path) -> None:
    training_spec = spec(dataset(tmp_path / "a.zip"), steps=44, warmup_steps=4, lr_scheduler="cosine")
    learner = training(training_spec, model, tmp_path / "work").learner
    rates = [learner.learning_rate(step) for step in range(44)]
    assert rates[:5] == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01])
    assert rates[24] == pytest.approx(0.005)
    assert sorted(rates[4:], reverse=True) == rates[4:]
    assert 0 < rates[-1] < 0.0001


def test_the_learning_rate_warms_up_and_stays(model: Path, tmp_path: Path) -> None:
    trainer = training(spec(dataset(tmp_path / "a.zip"), steps=40, warmup_steps=3), model, tmp_path / "work")
    assert [trainer.learner.learning_rate(step) for step in (0, 1, 2, 3, 39)] == [
        0.0025,
        0.005,
        0.0075,
        0.01,
        0.01,
    ]


def test_one_pair_at_a_time_is_decoded(tmp_path: Path) -> None:
    """10,000 pairs are allowed; decoded, each has 10 MB at 1024 pixels."""
    path = dataset(tmp_path / "a.zip").path
    pairs = datasets.pairs(path, instance_prompt=WORDS)
    first = next(load_examples(pairs, resolution=SIDE, multiple=16))
    assert (first.name, first.target.size) == ("01", (SIDE, SIDE))
    assert [pair.name for pair in pairs] == ["02", "03", "04"]


def test_a_dataset_that_was_replaced_after_its_check_is_not_decoded(model: Path, tmp_path: Path) -> None:
    checked = spec(dataset(tmp_path / "a.zip"))
    dataset(tmp_path / "a.zip", turned_colours(2))
    with pytest.raises(datasets.DatasetError, match="replaced after it was checked"):
        training(checked, model, tmp_path / "work")
