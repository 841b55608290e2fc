"""FLUX.1-Kontext: two text encoders read the instruction, and one input image is edited.

Latents are packed 2 x 2 into tokens. The tokens of the input image follow those of the target: they have the
same rows and columns, but a first id of 1. The guidance is an input of the transformer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers import AutoencoderKL, FluxKontextPipeline, FluxTransformer2DModel
from PIL import Image
from torch import Tensor

from finetune_portal.engine.trainers.families.examples import Batch, Example, Size
from finetune_portal.engine.trainers.families.family import Family, free_memory, pack_latents

ATTENTION = r"attn\.(to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out)"
FEED_FORWARD = r"ff\.net\.0\.proj|ff\.net\.2|ff_context\.net\.0\.proj|ff_context\.net\.2|proj_mlp|proj_out"
MODULATION = r"norm1\.linear|norm1_context\.linear|norm\.linear"
MAX_TOKENS = 512  # of an instruction


class Kontext(Family):
    """`Batch.text` has `prompt`, (count, tokens, width), of the encoder that reads the whole instruction.

    And `pooled`, (count, width), one vector for an instruction.
    """

    pipeline = FluxKontextPipeline
    vae_class = AutoencoderKL
    transformer_class = FluxTransformer2DModel
    text_parts = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
    sample_steps = 20
    sample_guidance = 2.5
    metadata = {
        "theme": "KONTEXT",
        "modelspec.architecture": "flux-1-dev/lora",
        "modelspec.implementation": "https://github.com/black-forest-labs/flux",
        "ss_base_model_version": "flux_kontext",
    }

    @staticmethod
    def velocity(transformer: Any, noisy: Tensor, batch: Batch, sigmas: Tensor, guidance: float) -> Tensor:
        tokens, (control,) = pack_latents(noisy), batch.controls
        prompt = batch.text["prompt"]
        prediction: Tensor = transformer(
            hidden_states=torch.cat([tokens, pack_latents(control)], dim=1),
            timestep=sigmas.to(tokens),
            guidance=torch.full_like(sigmas, guidance) if transformer.config.guidance_embeds else None,
            pooled_projections=batch.text["pooled"],
            encoder_hidden_states=prompt,
            txt_ids=torch.zeros(prompt.shape[1], 3, device=tokens.device, dtype=tokens.dtype),
            img_ids=torch.cat([latent_image_ids(batch.targets, 0), latent_image_ids(control, 1)]),
            return_dict=False,
        )[0]
        return prediction[:, : tokens.shape[1]]

    @staticmethod
    def lora_layers(*, feed_forward: bool, modulation: bool) -> str:
        layers = "|".join([ATTENTION, *[FEED_FORWARD] * feed_forward, *[MODULATION] * modulation])
        return rf".*transformer_blocks\.\d+\.({layers})"

    def text_encoding(self, instructions: set[str]) -> Callable[[Example], Mapping[str, Tensor]]:
        encoder = FluxKontextPipeline.from_pretrained(
            self.folder, transformer=None, vae=None, dtype=self.dtype
        ).to(self.text_device())
        texts = {}
        for text in instructions:
            length = min(MAX_TOKENS, encoder.tokenizer_2.model_max_length)
            prompt, pooled, _ids = encoder.encode_prompt(text, None, max_sequence_length=length)
            texts[text] = {"prompt": prompt.cpu(), "pooled": pooled.cpu()}
        del encoder
        free_memory()
        return lambda example: texts[example.instruction]

    def normalized_latents(self, pixels: Tensor) -> Tensor:
        latents = self.vae.encode(pixels).latent_dist.mode()
        return (latents - self.vae.config.shift_factor) * self.vae.config.scaling_factor

    def sample_inputs(self, example: Example, batch: Batch) -> dict[str, Any]:
        width, height = example.target.size
        return {
            "image": batch.controls[0].to(self.device, self.dtype),
            "prompt_embeds": batch.text["prompt"].to(self.device),
            "pooled_prompt_embeds": batch.text["pooled"].to(self.device),
            "max_area": width * height,
        }

    def run_inputs(self, pipe: Any, images: Sequence[Image.Image], prompt: str, size: Size) -> dict[str, Any]:
        (image,) = images
        return {
            "image": image,
            "prompt": prompt,
            "max_area": size[0] * size[1],
            "max_sequence_length": min(MAX_TOKENS, pipe.tokenizer_2.model_max_length),
            "_auto_resize": False,
        }


def latent_image_ids(latents: Tensor, first: int) -> Tensor:
    """The ids of the tokens, (tokens, 3): `first` (0 target, 1 control), row and column."""
    rows, columns = latents.shape[2] // 2, latents.shape[3] // 2
    ids = torch.zeros(rows, columns, 3, device=latents.device, dtype=latents.dtype)
    ids[..., 0] = first
    ids[..., 1] += torch.arange(rows, device=latents.device)[:, None]
    ids[..., 2] += torch.arange(columns, device=latents.device)[None, :]
    return ids.reshape(rows * columns, 3)
