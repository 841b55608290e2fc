"""Pretrain the tiny model: the decoder on crops of drawn images, the transformer on drawn edits.

The transformer learns in five parts: first to keep an image and to make simple edits, with uniform sigmas;
then edits as people train them, with sigmas as in a sample; then mostly to enlarge a head; then the same by
the tokens of the instruction alone; and at last that with larger images, and heads that leave the image.

All noise is seeded: the same versions on the same machine make the same model. The text encoders stay random,
and the transformer learns to read them as they are.
"""

from __future__ import annotations

import functools
import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL, FluxKontextPipeline
from PIL import Image

from finetune_portal.engine.trainers.families.examples import Batch
from finetune_portal.engine.trainers.families.family import pack_latents, shift_sigmas
from finetune_portal.engine.trainers.families.kontext import latent_image_ids
from finetune_portal.engine.trainers.lora.sigmas import Shift
from finetune_portal.engine.trainers.tiny import autoencoder, build, edits, photo_edits

SEED = 7
Draw = Callable[[np.random.Generator, tuple[int, int]], edits.Edit]
CROP = 64  # pixels: the side of a crop that the decoder is trained on


def pretrain(into: Path, *, decoder_steps: int, steps: int, pairs: int) -> None:
    """The first part: the autoencoder, and a transformer that keeps images."""
    torch.manual_seed(SEED)
    pipe = build.pipeline()
    for model in (pipe.text_encoder, pipe.text_encoder_2):
        model.requires_grad_(False)
    pictures = training_images()
    autoencoder.set_weights(pipe.vae, pictures[:200])
    train_decoder(pipe.vae, pictures, decoder_steps)
    torch.manual_seed(SEED + 1)
    rng = np.random.default_rng(SEED + 1)
    loss = transformer_loss(pipe, encode(pipe, rng, pairs, edits.draw, edits.SIZES), rng)
    _optimize("transformer", pipe.transformer.train().parameters(), steps, 2e-3, loss, _cosine(steps))
    pipe.transformer.eval()
    pipe.to(torch.float16).save_pretrained(into)


class Part(NamedTuple):
    """A later part of the training of the transformer: edits as people train them, sigmas as in a sample."""

    draw: Draw
    image_seed: int
    seed: int  # of the noise and the order; the same as `image_seed`: the generator goes on
    steps: int
    pairs: int
    decays: bool = True  # whether the learning rate falls at the end
    is_pooled_shuffled: bool = False
    sizes: Sequence[tuple[int, int]] = photo_edits.SIZES


# The pooled vector of an instruction sets the norms, where a LoRA on the attention alone has no weights. A
# model that reads it shuts its edits off from every such LoRA with other words, so the last parts give each
# example that of any other: the model learns to read the tokens, in the attention.
SECOND = Part(photo_edits.draw, SEED + 2, SEED + 2, steps=750, pairs=1000)
THIRD = Part(photo_edits.draw_grained, SEED + 3, SEED + 3, steps=800, pairs=2500, decays=False)
FOURTH = Part(photo_edits.draw_grained, SEED + 3, SEED + 4, steps=1000, pairs=2500, is_pooled_shuffled=True)
FIFTH = Part(
    photo_edits.draw_leaving_heads,
    SEED + 5,
    SEED + 5,
    steps=800,
    pairs=1600,
    is_pooled_shuffled=True,
    sizes=photo_edits.LARGER_SIZES,
)
LATER_PARTS = (SECOND, THIRD, FOURTH, FIFTH)


def pretrain_further(begin: Path, into: Path, part: Part) -> None:
    """From the model of the part before."""
    pipe = FluxKontextPipeline.from_pretrained(begin, dtype=torch.float32)
    scheduler = build.scheduler()
    for model in (pipe.text_encoder, pipe.text_encoder_2, pipe.vae):
        model.requires_grad_(False)
    torch.manual_seed(part.seed)
    rng = np.random.default_rng(part.image_seed)
    by_size = encode(pipe, rng, part.pairs, part.draw, part.sizes)
    if part.seed != part.image_seed:
        rng = np.random.default_rng(part.seed)
    shift = functools.partial(shift_sigmas, scheduler)
    loss = transformer_loss(pipe, by_size, rng, shift, is_pooled_shuffled=part.is_pooled_shuffled)
    transformer, schedule = pipe.transformer.train(), _trapezoid(part.steps, decays=part.decays)
    _optimize("transformer", transformer.parameters(), part.steps, 1e-3, loss, schedule)
    if begin != into:
        shutil.copytree(begin, into, dirs_exist_ok=True)
    transformer.register_to_config(_name_or_path=build.NAME)
    transformer.eval().to(torch.float16).save_pretrained(into / "transformer")
    scheduler.save_pretrained(into / "scheduler")


def pixels(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)


def training_images(count: int = 800) -> torch.Tensor:
    rng = np.random.default_rng(SEED)
    return torch.stack([pixels(edits.scene(rng, (build.SIDE, build.SIDE))) for _ in range(count)])


def train_decoder(vae: AutoencoderKL, pictures: torch.Tensor, steps: int) -> None:
    """Train it to decode noisy latents. The loss counts colours and edges."""
    rng = np.random.default_rng(SEED)
    vae.encoder.requires_grad_(False)

    def loss(step: int) -> torch.Tensor:
        picks = [(rng.integers(len(pictures)), *rng.integers(0, build.SIDE - CROP, 2)) for _ in range(6)]
        batch = torch.stack([pictures[i, :, y : y + CROP, x : x + CROP] for i, y, x in picks])
        if step % 2:
            batch = batch.flip(1, 3)  # other colours, mirrored
        with torch.no_grad():
            latents = vae.encode(batch).latent_dist.mode()
        again = vae.decode(latents + 0.1 * torch.randn_like(latents)).sample
        off = 2 * torch.nn.functional.smooth_l1_loss(again, batch, beta=0.05)
        for axis in (2, 3):
            off = off + 0.5 * torch.nn.functional.l1_loss(again.diff(dim=axis), batch.diff(dim=axis))
        return off

    _optimize("decoder", vae.decoder.parameters(), steps, 1e-3, loss, _cosine(steps))


def encode(
    pipe: FluxKontextPipeline,
    rng: np.random.Generator,
    pairs: int,
    draw: Draw,
    sizes: Sequence[tuple[int, int]],
) -> list[Batch]:
    def latents(pictures: list[Image.Image]) -> torch.Tensor:
        latent = pipe.vae.encode(torch.stack([pixels(each) for each in pictures])).latent_dist.mode()
        return (latent - pipe.vae.config.shift_factor) * pipe.vae.config.scaling_factor

    by_size = []
    with torch.no_grad():
        for size in sizes:
            parts: list[Batch] = []
            for _ in range(pairs // len(sizes) // 20):
                drawn = [draw(rng, size) for _ in range(20)]
                prompts, pooled, _ids = pipe.encode_prompt(
                    [each.instruction for each in drawn], None, max_sequence_length=build.TOKENS
                )
                targets = latents([each.target for each in drawn])
                controls = latents([each.control for each in drawn])
                parts.append(Batch(targets, (controls,), {"prompt": prompts, "pooled": pooled}))
            by_size.append(Batch.concatenate(parts))
    return by_size


def transformer_loss(
    pipe: FluxKontextPipeline,
    by_size: list[Batch],
    rng: np.random.Generator,
    shift: Shift = lambda sigmas, _tokens: sigmas,
    *,
    is_pooled_shuffled: bool = False,
) -> Callable[[int], torch.Tensor]:
    """The loss of a step: flow matching on a batch of one size, with shifted sigmas."""
    all_pooled = torch.cat([each.text["pooled"] for each in by_size])

    def loss(step: int) -> torch.Tensor:
        edits_of_size = by_size[rng.integers(len(by_size))]
        picks = torch.from_numpy(rng.integers(len(edits_of_size.targets), size=8))
        target, control = edits_of_size.targets[picks], edits_of_size.controls[0][picks]
        count = len(target)
        noise = torch.randn_like(target)
        sigma = shift(torch.rand(count, 1, 1, 1), latent_image_ids(target, 0).shape[0])
        noisy = (1 - sigma) * target + sigma * noise
        prediction = pipe.transformer(
            hidden_states=torch.cat([pack_latents(noisy), pack_latents(control)], dim=1),
            timestep=sigma.flatten(),
            guidance=torch.empty(count).uniform_(1, 4),
            pooled_projections=all_pooled[torch.randint(len(all_pooled), (count,))]
            if is_pooled_shuffled
            else edits_of_size.text["pooled"][picks],
            encoder_hidden_states=edits_of_size.text["prompt"][picks],
            txt_ids=torch.zeros(build.TOKENS, 3),
            img_ids=torch.cat([latent_image_ids(target, 0), latent_image_ids(control, 1)]),
            return_dict=False,
        )[0]
        velocity = pack_latents(noise - target)
        return torch.nn.functional.mse_loss(prediction[:, : velocity.shape[1]], velocity)

    return loss


def _cosine(steps: int) -> Callable[[int], float]:
    """Warm-up, then cosine decay."""
    warm = max(1, min(200, steps // 10))
    return lambda step: min((step + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * step / steps))


def _trapezoid(steps: int, *, decays: bool) -> Callable[[int], float]:
    """Warm-up, a constant rate, and, where it decays, linear decay over the last third."""
    return lambda step: min((step + 1) / 80, 1.0, (steps - step) / (steps / 3) if decays else 1.0)


def _optimize(
    name: str,
    parameters: Any,
    steps: int,
    learning_rate: float,
    loss_at: Callable[[int], torch.Tensor],
    schedule: Callable[[int], float],
) -> None:
    """Minimize a loss by AdamW; print its running mean every 100 steps."""
    parameters = list(parameters)
    optimizer = torch.optim.AdamW(parameters, learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    begun, recent = time.monotonic(), 0.0
    for step in range(steps):
        loss = loss_at(step)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        scheduler.step()
        recent = loss.item() if step == 0 else 0.98 * recent + 0.02 * loss.item()
        if (step + 1) % 100 == 0 or step + 1 == steps:
            print(f"{name}: step {step + 1}, loss {recent:.4f}, {time.monotonic() - begun:.0f} s", flush=True)  # noqa: T201
