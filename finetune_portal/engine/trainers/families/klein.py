"""FLUX.2 klein: Qwen3 reads the instruction, and one to four input images stand beside the target.

The latents of the autoencoder are folded 2 x 2 and normalized by the running statistics of its batch norm. A
token is one pixel of that map. All tokens have ids of four numbers: which image, row, column, and place in
the text. The input images follow the target in one sequence, and nothing weighs what the text pads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline, Flux2Transformer2DModel
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from PIL import Image
from torch import Tensor

from finetune_portal.engine.trainers.families.examples import Batch, Example, Size
from finetune_portal.engine.trainers.families.family import Family, free_memory

ATTENTION = r"to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out"
FEED_FORWARD = r"(ff|ff_context)\.(linear_in|linear_out)"
# A single block has its attention and its feed-forward layers in two matrices, which are always trained.
SINGLE = r"single_transformer_blocks\.\d+\.attn\.(to_qkv_mlp_proj|to_out)"
REFERENCE_IDS = 10  # from the target to the first input image, and from each of these to the next
LEAST_SIDE, MOST_RATIO = 64, 8  # of an image that the pipeline takes


class Klein(Family):
    """`Batch.text` has `prompt`, (count, 512, width): three layers of Qwen3 side by side, padding and all."""

    pipeline = Flux2KleinPipeline
    vae_class = AutoencoderKLFlux2
    transformer_class = Flux2Transformer2DModel
    text_parts = ("text_encoder", "tokenizer")
    sample_steps = 28
    sample_guidance = 4.0
    most_area = 1024**2
    metadata = {
        "theme": "FLUX.2-KLEIN",
        "modelspec.implementation": "https://github.com/black-forest-labs/flux2",
    }

    @staticmethod
    def pack(latents: Tensor) -> Tensor:
        return latents.flatten(2).transpose(1, 2)

    @staticmethod
    def token_count(latents: Tensor) -> int:
        count: int = latents[0, 0].numel()
        return count

    @staticmethod
    def velocity(transformer: Any, noisy: Tensor, batch: Batch, sigmas: Tensor, guidance: float) -> Tensor:
        """There is no input for the guidance."""
        images, prompt = (noisy, *batch.controls), batch.text["prompt"]
        tokens = torch.cat([Klein.pack(each) for each in images], dim=1)
        ids = [latent_image_ids(each, REFERENCE_IDS * number) for number, each in enumerate(images)]
        prediction: Tensor = transformer(
            hidden_states=tokens,
            timestep=sigmas.to(tokens),
            guidance=None,
            encoder_hidden_states=prompt,
            txt_ids=text_ids(prompt),
            img_ids=torch.cat(ids),
            return_dict=False,
        )[0]
        return prediction[:, : Klein.token_count(noisy)]

    @staticmethod
    def lora_layers(*, feed_forward: bool, modulation: bool) -> str:
        """Without the modulation: all blocks share one here, which no trainer of klein touches."""
        double = "|".join([rf"attn\.({ATTENTION})", *[FEED_FORWARD] * feed_forward])
        return rf"transformer_blocks\.\d+\.({double})|{SINGLE}"

    def why_not(self, size: Size) -> str:
        if min(size) < LEAST_SIDE or max(size) > MOST_RATIO * min(size):
            return f"FLUX.2 klein takes sides of {LEAST_SIDE} pixels and more, ratios up to {MOST_RATIO}:1"
        return ""

    def text_encoding(self, instructions: set[str]) -> Callable[[Example], Mapping[str, Tensor]]:
        """The empty one is embedded, too: samples are guided away from it."""
        encoder = Flux2KleinPipeline.from_pretrained(
            self.folder, transformer=None, vae=None, dtype=self.dtype
        ).to(self.text_device())
        texts = {}
        for text in {*instructions, ""}:
            prompt, _ids = encoder.encode_prompt(text)
            texts[text] = {"prompt": prompt.cpu()}
        self.empty_prompt = texts[""]["prompt"]
        del encoder
        free_memory()
        return lambda example: texts[example.instruction]

    def normalized_latents(self, pixels: Tensor) -> Tensor:
        latents = torch.nn.functional.pixel_unshuffle(self.vae.encode(pixels).latent_dist.mode(), 2)
        mean, variance = (
            each.view(1, -1, 1, 1) for each in (self.vae.bn.running_mean, self.vae.bn.running_var)
        )
        deviation = torch.sqrt(variance + self.vae.config.batch_norm_eps)
        return (latents - mean.to(latents)) / deviation.to(latents)

    def sample_inputs(self, example: Example, batch: Batch) -> dict[str, Any]:
        return {
            "image": list(example.controls),
            "prompt_embeds": batch.text["prompt"].to(self.device),
            "negative_prompt_embeds": self.empty_prompt.to(self.device),
        }

    def run_inputs(self, pipe: Any, images: Sequence[Image.Image], prompt: str, size: Size) -> dict[str, Any]:
        return {"image": list(images), "prompt": prompt}

    def shift_sigmas(self, even: Tensor, tokens: int) -> Tensor:
        """The pipeline has its own shift, by the tokens and the steps of a sample."""
        shifted: Tensor = self.scheduler.time_shift(
            compute_empirical_mu(tokens, self.sample_steps), 1.0, even
        )
        return shifted


def latent_image_ids(latents: Tensor, image: int) -> Tensor:
    """The ids of the tokens of an image, (tokens, 4): `image` (0 is the target), row, column, 0."""
    rows, columns = (torch.arange(side, device=latents.device) for side in latents.shape[2:])
    zero = torch.zeros(1, dtype=rows.dtype, device=latents.device)
    return torch.cartesian_prod(zero + image, rows, columns, zero)


def text_ids(prompt: Tensor) -> Tensor:
    """The ids of the tokens of a text, (tokens, 4): its place, after three zeros."""
    ids = torch.zeros(prompt.shape[1], 4, dtype=torch.long, device=prompt.device)
    ids[:, 3] = torch.arange(prompt.shape[1], device=prompt.device)
    return ids
