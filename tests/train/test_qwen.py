"""Qwen-Image-Edit: one step compared with diffusers' own pipeline, and the file that a training makes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import QwenImageEditPlusPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus
from peft.utils import get_peft_model_state_dict
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import Qwen2VLImageProcessorPil, Qwen2VLProcessor

from finetune_portal.engine import datasets
from finetune_portal.engine.trainers.families.qwen import IMAGE, Qwen
from finetune_portal.engine.trainers.lora.generate import Pipeline
from finetune_portal.engine.trainers.lora.training import Training
from tests.train.lora_file import assert_is_what_was_trained, trained
from tests.train.training import WORDS, dataset, picture, png, spec, training, turned_colours

REFERENCE = (128, 64)  # the size of the second input image of a pair
SHOWN = (96, 96)  # of the first one, and of any square
# The names in diffusers' layout that ComfyUI maps to layers of Qwen-Image one to one, when it loads a LoRA
# whose keys begin with "transformer." (comfy/lora.py, model_lora_keys_unet).
LAYERS = """
    attn.to_q attn.to_k attn.to_v attn.to_out.0 attn.add_q_proj attn.add_k_proj attn.add_v_proj
    attn.to_add_out img_mlp.net.0.proj img_mlp.net.2 txt_mlp.net.0.proj txt_mlp.net.2
""".split()  # noqa: SIM905  to be read


class Processor(Qwen2VLProcessor):  # type: ignore[misc]  # is Any without transformers
    """That of the pipeline without the part for videos, which needs torchvision. Keeps the token types."""

    def __init__(self, folder: Path, tokenizer: Any) -> None:
        self.image_processor = Qwen2VLImageProcessorPil.from_pretrained(folder / "processor")
        self.tokenizer, self.video_processor = tokenizer, None
        self.image_token, self.video_token = IMAGE, "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)

    @classmethod
    def get_attributes(cls) -> list[str]:
        return ["image_processor", "tokenizer"]

    def __call__(self, *args: Any, **named: Any) -> Any:
        inputs = super().__call__(*args, **named)
        self.token_types = inputs["mm_token_type_ids"]
        return inputs


@pytest.fixture(scope="module")
def pipe(qwen: Path) -> QwenImageEditPlusPipeline:
    """The pipeline, which gives the text encoder all that its processor says, as later versions do."""
    pipeline = unmended(qwen)

    def add_token_types(_encoder: Any, args: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, {"mm_token_type_ids": pipeline.processor.token_types, **named}

    pipeline.text_encoder.register_forward_pre_hook(add_token_types, with_kwargs=True)
    return pipeline


def unmended(folder: Path) -> QwenImageEditPlusPipeline:
    pipeline = QwenImageEditPlusPipeline.from_pretrained(folder, processor=None)
    pipeline.processor = Processor(folder, pipeline.tokenizer)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def two_inputs(count: int) -> dict[str, bytes]:
    """Pairs whose second input image has a shape of its own."""
    further = {
        f"{number:02}_start2.png": png(picture(number + 50, REFERENCE)) for number in range(1, count + 1)
    }
    return turned_colours(count) | further


@pytest.fixture
def trainer(qwen: Path, tmp_path: Path) -> Training:
    """Of three pairs with two input images each, of which the first pair is held out."""
    files = two_inputs(3) | {"02.txt": b"turn all of the colours"}
    checked = dataset(tmp_path / "a.zip", files, most_inputs=2)
    training_spec = spec(checked, warmup_steps=0, gradient_clipping=1000.0, seed=3)
    prepared = training(training_spec, qwen, tmp_path / "work")
    prepared.model.sample_steps = 2
    return prepared


def test_the_velocity_is_that_of_a_step_of_the_pipeline(
    trainer: Training, pipe: QwenImageEditPlusPipeline
) -> None:
    """With two input images of unlike sizes. A step of Euler goes along the velocity."""
    example, batch = trainer.validation_example, trainer.validation_batch
    assert [each.size for each in example.controls] == [SHOWN, REFERENCE]
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
        num_inference_steps=2,
        true_cfg_scale=1.0,
        latents=Qwen.pack(noisy),
        output_type="latent",
        callback_on_step_end=keep,
    )
    first, second = pipe.scheduler.sigmas[:2]
    with torch.no_grad():
        ours = Qwen.velocity(trainer.transformer, noisy, batch, first.reshape(1), 1.0)
    torch.testing.assert_close(ours, (after[0] - Qwen.pack(noisy)) / (second - first), rtol=1e-4, atol=1e-5)


def latents(pipe: QwenImageEditPlusPipeline, image: Image.Image) -> Tensor:
    pixels = pipe.image_processor.preprocess(image, image.height, image.width)
    return pipe._encode_vae_image(pixels.unsqueeze(2), None)


def packed(pipe: QwenImageEditPlusPipeline, encoded: Tensor) -> Tensor:
    _, channels, _, height, width = encoded.shape
    return pipe._pack_latents(encoded, 1, channels, height, width)


def seen(pipe: QwenImageEditPlusPipeline, images: Sequence[Image.Image]) -> list[Image.Image]:
    """The two input images of a pair as the text encoder sees them."""
    sizes = [(64, 64), (32, 96)]  # height and width
    return [pipe.image_processor.resize(each, *size) for each, size in zip(images, sizes, strict=True)]


def plain_loss(pipe: QwenImageEditPlusPipeline, control: int, caption: str, *, seed: int) -> Tensor:
    """Of a pair of `two_inputs`, by the parts of the pipeline, with the noise and sigma of the seed.

    Sigmas are shifted by the line of the scheduler's config, from 256 to 8192 tokens. The target has 16.
    """
    images = [picture(control).resize(SHOWN, Image.Resampling.LANCZOS), picture(control + 50, REFERENCE)]
    prompt, mask = pipe.encode_prompt(image=seen(pipe, images), prompt=caption)
    x = latents(pipe, Image.merge("RGB", picture(control).split()[::-1]))
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((1, *x.shape[1:2], *x.shape[3:]), generator=generator).unsqueeze(2)
    even = torch.rand(1, generator=generator)
    shift = np.exp(0.5 + (0.9 - 0.5) * (16 - 256) / (8192 - 256))
    sigma = shift * even / (1 + (shift - 1) * even)
    tokens = [
        packed(pipe, (1 - sigma) * x + sigma * noise),
        *(packed(pipe, latents(pipe, each)) for each in images),
    ]
    prediction = pipe.transformer(
        hidden_states=torch.cat(tokens, dim=1),
        timestep=sigma,
        encoder_hidden_states=prompt,
        encoder_hidden_states_mask=mask,
        img_shapes=[[(1, 4, 4), (1, 6, 6), (1, 4, 8)]],
    ).sample
    velocity = packed(pipe, noise - x)
    return ((prediction[:, : velocity.shape[1]] - velocity) ** 2).mean()


def test_the_loss_of_a_step_equals_a_plain_computation(
    trainer: Training, pipe: QwenImageEditPlusPipeline
) -> None:
    """With a seed of 3, step 0 draws by 3 * 1,000,003. The LoRA changes nothing yet."""
    targets = trainer.batch(0).targets
    index = next(i for i, each in enumerate(trainer.encoded) if torch.equal(each.targets, targets))
    caption = ["turn all of the colours", WORDS][index]
    with torch.no_grad():
        plain = plain_loss(pipe, index + 2, caption, seed=3_000_009)
    assert trainer.learner.step(0, trainer.batches(0)) == pytest.approx(plain.item(), rel=1e-5)


def test_the_text_encoder_knows_the_tokens_of_the_images(
    trainer: Training, pipe: QwenImageEditPlusPipeline, qwen: Path
) -> None:
    """The pinned pipeline does not tell it, and so embeds another text."""
    images = seen(pipe, trainer.validation_example.controls)
    with torch.no_grad():
        known, unknown = (
            each.encode_prompt(image=images, prompt=WORDS)[0] for each in (pipe, unmended(qwen))
        )
    ours = trainer.validation_batch.text["prompt"]
    torch.testing.assert_close(ours, known, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(ours, unknown, atol=1e-2)


def test_a_caption_that_spells_the_mark_of_an_image_has_none(trainer: Training) -> None:
    encode = trainer.model.text_encoding(set())
    spelled = replace(trainer.validation_example, instruction=f"{WORDS}{IMAGE}")
    with torch.no_grad():
        assert torch.equal(encode(spelled)["prompt"], trainer.validation_batch.text["prompt"])


def test_a_batch_has_the_mean_loss_of_its_examples(trainer: Training) -> None:
    """Also where their texts are of unlike lengths: the padding of the shorter one counts for nothing."""
    first, second = trainer.encoded
    assert first.text["prompt"].shape != second.text["prompt"].shape
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


def test_an_image_that_is_too_narrow_is_named(qwen: Path, tmp_path: Path) -> None:
    files = turned_colours(1) | {"01_start2.png": png(picture(9, (3300, 8)))}
    checked = dataset(tmp_path / "a.zip", files, most_inputs=2)
    with pytest.raises(
        datasets.DatasetError, match="01_start2.png would be trained in 3296 x 32 pixels, but"
    ):
        training(spec(checked), qwen, tmp_path / "work")


def test_the_pipeline_keeps_the_size_of_an_input_image(
    trainer: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the area of the real model, where it makes 1984 x 544 pixels of a shape and then 1952 x 544."""
    monkeypatch.setattr(edit_plus, "VAE_IMAGE_SIZE", 1024 * 1024)
    for bucket in ((1024, 1024), (1440, 384), (512, 1600), (96, 2976)):
        width, height = trainer.model.input_size(bucket)
        assert edit_plus.calculate_dimensions(1024 * 1024, width / height) == (width, height)


def test_images_are_those_of_the_pipeline(trainer: Training, pipe: QwenImageEditPlusPipeline) -> None:
    """A sample in the training, and an image of the finished model."""
    example = trainer.validation_example
    images = list(example.controls)
    theirs = pipe(
        image=images,
        prompt=WORDS,
        negative_prompt=" ",
        true_cfg_scale=4.0,
        width=64,
        height=64,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(1),
    ).images[0]
    sample = trainer.model.generate(trainer.transformer, example, trainer.validation_batch, seed=1)
    image = trainer.model.run(
        trainer.model.load_pipeline(), images, prompt=WORDS, size=(64, 64), steps=2, guidance=4.0, seed=1
    )
    assert differ(sample, theirs) <= 1
    assert differ(image, theirs) <= 1
    fewer = replace(example, controls=example.controls[:1])
    other = trainer.model.generate(trainer.transformer, fewer, trainer.validation_batch, seed=1)
    assert differ(other, theirs) > 8


def test_a_finished_model_is_run_as_it_was_trained(lora: tuple[Training, Path], qwen: Path) -> None:
    """Strength 0 is the base model, and the image is cut to a bucket."""
    request = {
        "weights": str(lora[1]),
        "picture": base64.b64encode(png(picture(1, (70, 40)))).decode(),
        "prompt": WORDS,
        "steps": 2,
        "guidance": 4.0,
        "seed": 1,
        "kind": "PNG",
    }
    pipeline = Pipeline(qwen)
    base, full = (
        Image.open(BytesIO(pipeline.generate({**request, "strength": strength}))) for strength in (0, 1)
    )
    assert base.size == (64, 32)
    assert differ(base, full) > 2


def differ(one: Image.Image, other: Image.Image) -> int:
    """By how much, at most, of the 255 steps of a colour."""
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


@pytest.fixture(scope="module")
def lora(qwen: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, Path]:
    return trained(qwen, tmp_path_factory.mktemp("lora"))


def test_the_file_is_what_was_trained_and_strength_0_the_base(
    lora: tuple[Training, Path], qwen: Path
) -> None:
    trainer, file = lora
    fresh = QwenImageEditPlusPipeline.from_pretrained(qwen, processor=None)
    assert_is_what_was_trained(trainer, file, fresh)
    loaded = get_peft_model_state_dict(fresh.transformer, adapter_name="own")
    assert {f"transformer.{name}" for name in loaded} == load_file(file).keys()


def test_readers_know_every_layer_of_the_file(lora: tuple[Training, Path]) -> None:
    names = {f"transformer.transformer_blocks.{block}.{layer}" for block in range(2) for layer in LAYERS}
    assert load_file(lora[1]).keys() == {f"{name}.lora_{matrix}.weight" for name in names for matrix in "AB"}


def test_the_modulation_is_trained_if_asked(qwen: Path, tmp_path: Path) -> None:
    trainer = training(spec(dataset(tmp_path / "a.zip"), modulation=True), qwen, tmp_path / "work")
    trained = [name for name, each in trainer.transformer.named_parameters() if each.requires_grad]
    assert len(trained) == 2 * 2 * (len(LAYERS) + 2)
