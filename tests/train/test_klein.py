"""FLUX.2 klein: one step compared with diffusers' own pipeline, and the file that a training makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinPipeline
from peft.utils import get_peft_model_state_dict
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from finetune_portal.engine import datasets
from finetune_portal.engine.trainers.families.klein import Klein
from finetune_portal.engine.trainers.lora.training import Training
from tests.train.lora_file import assert_is_what_was_trained, trained
from tests.train.training import WORDS, dataset, picture, png, spec, training, turned_colours

REFERENCE = (96, 64)  # the size of the second input image of a pair


@pytest.fixture(scope="module")
def pipe(klein: Path) -> Flux2KleinPipeline:
    pipeline = Flux2KleinPipeline.from_pretrained(klein)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def two_inputs(count: int) -> dict[str, bytes]:
    """Pairs whose second input image has a shape of its own."""
    further = {
        f"{number:02}_start2.png": png(picture(number + 50, REFERENCE)) for number in range(1, count + 1)
    }
    return turned_colours(count) | further


@pytest.fixture
def trainer(klein: Path, tmp_path: Path) -> Training:
    """Of three pairs with two input images each, of which the first pair is held out."""
    checked = dataset(tmp_path / "a.zip", two_inputs(3), most_inputs=2)
    training_spec = spec(checked, warmup_steps=0, gradient_clipping=1000.0, seed=3)
    return training(training_spec, klein, tmp_path / "work")


def pipeline_latents(pipe: Flux2KleinPipeline, image: Any) -> Tensor:
    return pipe._encode_vae_image(pipe.image_processor.preprocess(image), None)


def test_the_velocity_is_that_of_a_step_of_the_pipeline(trainer: Training, pipe: Flux2KleinPipeline) -> None:
    """With two input images of unlike sizes. A step of Euler goes along the velocity."""
    example, batch = trainer.validation_example, trainer.validation_batch
    assert [each.size for each in example.controls] == [(64, 64), REFERENCE]
    noisy = torch.randn(batch.targets.shape, generator=torch.Generator().manual_seed(1))
    after: list[Tensor] = []

    def keep(_pipe: Any, _step: int, _time: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        after.append(tensors["latents"])
        return {}

    pipe(
        image=list(example.controls),
        prompt=WORDS,
        width=64,
        height=64,
        sigmas=[0.7, 0.3],
        num_inference_steps=2,
        guidance_scale=1.0,
        latents=noisy,
        output_type="latent",
        callback_on_step_end=keep,
    )
    first, second = pipe.scheduler.sigmas[:2]
    with torch.no_grad():
        ours = Klein.velocity(trainer.transformer, noisy, batch, first.reshape(1), 1.0)
    torch.testing.assert_close(ours, (after[0] - Klein.pack(noisy)) / (second - first), rtol=1e-4, atol=1e-5)


def plain_loss(pipe: Flux2KleinPipeline, trainer: Training, index: int, *, seed: int) -> Tensor:
    """Of a pair of `two_inputs`, by the parts of the pipeline, with the noise and sigma of the seed.

    As klein is trained by default, sigmas are uniform.
    """
    number = index + 2  # pair 1 is held out
    target = turned(number)
    with torch.no_grad():
        x = pipeline_latents(pipe, target)
        controls = [
            pipeline_latents(pipe, each) for each in (picture(number), picture(number + 50, REFERENCE))
        ]
        prompt, text_ids = pipe.encode_prompt(WORDS)
    generator = torch.Generator().manual_seed(seed)
    noise, sigma = torch.randn(x.shape, generator=generator), torch.rand(1, generator=generator)
    packed = [pipe._pack_latents(each) for each in ((1 - sigma) * x + sigma * noise, *controls)]
    prediction = pipe.transformer(
        hidden_states=torch.cat(packed, dim=1),
        timestep=sigma,
        encoder_hidden_states=prompt,
        txt_ids=text_ids,
        img_ids=torch.cat([pipe._prepare_latent_ids(x), pipe._prepare_image_ids(controls)], dim=1),
    ).sample
    velocity = pipe._pack_latents(noise - x)
    return ((prediction[:, : velocity.shape[1]] - velocity) ** 2).mean()


def turned(number: int) -> Image.Image:
    return Image.merge("RGB", picture(number).split()[::-1])


def test_the_loss_of_a_step_equals_a_plain_computation(trainer: Training, pipe: Flux2KleinPipeline) -> None:
    """With a seed of 3, step 0 draws by 3 * 1,000,003. The LoRA changes nothing yet."""
    targets = trainer.batch(0).targets
    index = next(i for i, each in enumerate(trainer.encoded) if torch.equal(each.targets, targets))
    with torch.no_grad():
        plain = plain_loss(pipe, trainer, index, seed=3_000_009)
    assert trainer.learner.step(0, trainer.batches(0)) == pytest.approx(plain.item(), rel=1e-5)


def test_sigmas_are_shifted_as_the_steps_of_a_sample(trainer: Training, pipe: Flux2KleinPipeline) -> None:
    pipe(
        prompt=WORDS, width=64, height=64, num_inference_steps=trainer.model.sample_steps, guidance_scale=1.0,
        output_type="latent",
    )  # fmt: skip
    steps = trainer.model.sample_steps
    even = torch.linspace(1.0, 1 / steps, steps)
    torch.testing.assert_close(trainer.model.shift_sigmas(even, 16), pipe.scheduler.sigmas[:steps].float())


def test_a_batch_has_the_mean_loss_of_its_examples(trainer: Training) -> None:
    """Also where each has several input images: theirs are not taken for those of one example."""
    first, second = trainer.encoded
    both = type(first).concatenate([first, second])
    noise, sigmas = trainer.learner.sample_noise(0, both)
    with torch.no_grad():
        losses = [
            trainer.learner.loss(each, noise[i : i + 1], sigmas[i : i + 1])
            for i, each in enumerate(trainer.encoded)
        ]
        assert float(trainer.learner.loss(both, noise, sigmas)) == pytest.approx(
            float(sum(losses)) / 2, rel=1e-5
        )


def test_pairs_with_fewer_inputs_have_batches_of_their_own(klein: Path, tmp_path: Path) -> None:
    files = two_inputs(5)
    del files["02_start2.png"], files["05_start2.png"]
    checked = dataset(tmp_path / "a.zip", files, most_inputs=2)
    trainer = training(spec(checked, batch_size=4), klein, tmp_path / "work")
    counts = sorted(
        (len(trainer.batch(step).targets), len(trainer.batch(step).controls)) for step in range(2)
    )
    assert counts == [(2, 1), (2, 2)]


def test_an_image_that_the_pipeline_refuses_is_named(klein: Path, tmp_path: Path) -> None:
    files = turned_colours(1) | {"01_start2.png": png(picture(9, (64, 32)))}
    checked = dataset(tmp_path / "a.zip", files, most_inputs=2)
    with pytest.raises(datasets.DatasetError, match="01_start2.png would be trained in 64 x 32 pixels, but"):
        training(spec(checked), klein, tmp_path / "work")


def test_no_image_is_larger_than_the_pipeline_takes(klein: Path, tmp_path: Path) -> None:
    """Rounded, it would have 912 x 1152 pixels: the pipeline shrinks and crops what exceeds 1024 squared."""
    checked = dataset(tmp_path / "a.zip", turned_colours(1, (1080, 1350)))
    trainer = training(spec(checked, resolution=1024), klein, tmp_path / "work")
    assert trainer.sizes == [((912, 1136),) * 2]


@pytest.fixture(scope="module")
def lora(klein: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, Path]:
    return trained(klein, tmp_path_factory.mktemp("lora"))


def test_the_file_is_what_was_trained_and_strength_0_the_base(
    lora: tuple[Training, Path], klein: Path
) -> None:
    trainer, file = lora
    fresh = Flux2KleinPipeline.from_pretrained(klein)
    assert_is_what_was_trained(trainer, file, fresh)


def test_diffusers_loads_every_matrix_of_the_file(lora: tuple[Training, Path], klein: Path) -> None:
    saved = load_file(lora[1])
    fresh = Flux2KleinPipeline.from_pretrained(klein)
    fresh.load_lora_weights(lora[1], adapter_name="own")
    loaded = get_peft_model_state_dict(fresh.transformer, adapter_name="own")
    assert {f"transformer.{name}" for name in loaded} == saved.keys()
    double, single = 12, 2  # linear layers of a block
    assert len(saved) == 2 * (2 * double + 3 * single)


def test_images_are_those_of_the_pipeline(trainer: Training, pipe: Flux2KleinPipeline) -> None:
    """A sample in the training, and an image of the finished model."""
    example = trainer.validation_example
    images = list(example.controls)
    theirs = pipe(
        image=images,
        prompt=WORDS,
        width=64,
        height=64,
        num_inference_steps=2,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(1),
    ).images[0]
    trainer.model.sample_steps = 2
    sample = trainer.model.generate(trainer.transformer, example, trainer.validation_batch, seed=1)
    image = trainer.model.run(
        trainer.model.load_pipeline(), images, prompt=WORDS, size=(64, 64), steps=2, guidance=4.0, seed=1
    )
    for ours in (sample, image):
        difference = np.asarray(ours, dtype=int) - np.asarray(theirs, dtype=int)
        assert np.abs(difference).max() <= 1, "of the 255 steps of a colour"


def test_a_sample_shows_all_of_its_input_images(trainer: Training) -> None:
    example, batch = trainer.validation_example, trainer.validation_batch
    trainer.model.sample_steps = 2
    with_both = trainer.model.generate(trainer.transformer, example, batch, seed=1)
    assert with_both.size == (64, 64)
    fewer = replace(example, controls=example.controls[:1])
    with_one = trainer.model.generate(trainer.transformer, fewer, batch, seed=1)
    assert with_one.tobytes() != with_both.tobytes()
