"""Which sigmas a training draws: as the schedule of a sample has them, or as the parameter says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from finetune_portal.engine.trainers.families.family import shift_sigmas
from finetune_portal.engine.trainers.lora.sigmas import VALIDATION_SIGMAS, draw_sigmas, schedule_weights
from tests.train.training import dataset, spec, training

KONTEXT = {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}  # of FLUX.1-Kontext-dev
EVEN = (torch.arange(10_000) + 0.5) / 10_000


def shift_of(**config: object) -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(**config)


@pytest.mark.parametrize(("tokens", "mu"), [(256, 0.5), (4096, 1.15), (2176, 0.825)])
def test_they_are_shifted_as_the_steps_of_a_sample(tokens: int, mu: float) -> None:
    """The pipeline gives the scheduler `mu` by the number of tokens, and even sigmas."""
    scheduler = shift_of(**KONTEXT)
    even = torch.linspace(1.0, 1 / 20, 20)
    scheduler.set_timesteps(sigmas=even.tolist(), mu=mu)
    torch.testing.assert_close(shift_sigmas(scheduler, even, tokens), scheduler.sigmas[:20].float())


def test_a_schedule_without_dynamic_shifting_has_one_shift() -> None:
    scheduler = shift_of(shift=3.0)
    even = torch.linspace(1.0, 1 / 20, 20)
    scheduler.set_timesteps(sigmas=even.tolist())
    torch.testing.assert_close(shift_sigmas(scheduler, even, 100), scheduler.sigmas[:20].float())


def test_logit_normal_is_the_sigmoid_of_a_normal_number() -> None:
    normal = torch.logit(draw_sigmas("logit_normal", EVEN, 1, no_shift))
    assert float(normal.mean()) == pytest.approx(0, abs=0.01)
    assert float(normal.std()) == pytest.approx(1, abs=0.01)


def test_uniform_stays_as_it_is() -> None:
    assert torch.equal(draw_sigmas("uniform", EVEN, 1, no_shift), EVEN)


def test_the_weights_of_the_fixed_sigmas_follow_the_schedule() -> None:
    assert schedule_weights(1, no_shift) == pytest.approx([1 / 8] * 8, abs=0.002)
    weights = schedule_weights(4096, lambda even, tokens: shift_sigmas(shift_of(**KONTEXT), even, tokens))
    assert sum(weights) == pytest.approx(1)
    assert weights == sorted(weights), "the higher the noise, the more steps"
    assert sum(weights[6:]) == pytest.approx(0.51, abs=0.02), "half of them above 0.75"
    assert len(weights) == len(VALIDATION_SIGMAS)


def no_shift(even: Tensor, _tokens: int) -> Tensor:
    return even


def test_a_training_draws_shifted_ones_by_default(model: Path, tmp_path: Path) -> None:
    drawn = {}
    for sampling in ("", "uniform"):
        advanced = {"timestep_sampling": sampling} if sampling else {}
        trainer = training(spec(dataset(tmp_path / "a.zip"), **advanced), model, tmp_path / (sampling or "b"))
        sigmas = [trainer.learner.sample_noise(step, trainer.batch(step))[1] for step in range(200)]
        drawn[sampling] = float(torch.cat(sigmas).mean())
    assert drawn["uniform"] == pytest.approx(0.5, abs=0.05)
    assert drawn[""] == pytest.approx(0.68, abs=0.05)


def test_a_request_of_an_earlier_release_draws_uniform_ones(model: Path, tmp_path: Path) -> None:
    trainer = training(spec(dataset(tmp_path / "a.zip")), model, tmp_path / "work")
    batch = trainer.batch(0)
    del trainer.request["timestep_sampling"]  # type: ignore[attr-defined]  # is a dict
    noise, sigmas = trainer.learner.sample_noise(0, batch)
    generator = torch.Generator().manual_seed(0)
    torch.randn(noise.shape, generator=generator)
    assert torch.equal(sigmas, torch.rand(1, generator=generator))
