"""Qwen-Image-Edit 2509 and 2511: Qwen2.5-VL reads the instruction together with one to three input images.

It sees each of them in about 384 x 384 pixels, and the transformer in about 1024 x 1024, whatever the size of
the target. Latents are packed 2 x 2 into tokens; the input images follow the target in one sequence. Tokens
have their rows and columns from `img_shapes`, by which 2511 also tells the input images: for it they have no
noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from diffusers import AutoencoderKLQwenImage, QwenImageEditPlusPipeline, QwenImageTransformer2DModel
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus
from PIL import Image
from torch import Tensor
from transformers import Qwen2VLImageProcessorPil

from finetune_portal.engine.trainers.families.examples import Batch, Example, Size
from finetune_portal.engine.trainers.families.family import Family, pack_latents

ATTENTION = r"attn\.(to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out)"
FEED_FORWARD = r"(img_mlp|txt_mlp)\.net\.(0\.proj|2)"
MODULATION = r"(img_mod|txt_mod)\.1"
IMAGE = "<|image_pad|>"  # the mark that stands for a part of an image in a text
NOTHING = " "  # the instruction that samples are guided away from
MOST_RATIO = 100  # of an image that Qwen2.5-VL takes, with room for rounding


class Qwen(Family):
    """`Batch.text` has `prompt`, (count, tokens, width), and `mask`, (count, tokens): 0 for padding.

    The prompt is that of the instruction and of the input images, so each example has its own.
    """

    pipeline = QwenImageEditPlusPipeline
    vae_class = AutoencoderKLQwenImage
    transformer_class = QwenImageTransformer2DModel
    text_parts = ("text_encoder", "tokenizer", "processor")
    unused_parts = ("processor",)  # needs torchvision, and what it makes of a text lacks the token types
    guidance_argument = "true_cfg_scale"
    multiple = 32
    resolution = 1024
    sample_steps = 40
    sample_guidance = 4.0
    metadata = {
        "theme": "QWEN-IMAGE-EDIT",
        "modelspec.implementation": "https://github.com/QwenLM/Qwen-Image",
    }

    @cached_property
    def image_processor(self) -> Qwen2VLImageProcessorPil:
        folder = self.folder / "processor"
        return Qwen2VLImageProcessorPil.from_pretrained(folder)  # nosec B615  # nothing is downloaded

    @staticmethod
    def velocity(transformer: Any, noisy: Tensor, batch: Batch, sigmas: Tensor, guidance: float) -> Tensor:
        """There is no input for the guidance."""
        images, mask = (noisy, *batch.controls), batch.text["mask"]
        tokens = torch.cat([pack_latents(each) for each in images], dim=1)
        shapes = [(1, each.shape[2] // 2, each.shape[3] // 2) for each in images]
        prediction: Tensor = transformer(
            hidden_states=tokens,
            timestep=sigmas.to(tokens),
            guidance=None,
            encoder_hidden_states=batch.text["prompt"],
            encoder_hidden_states_mask=None if mask.all() else mask.bool(),
            img_shapes=[shapes] * len(noisy),
            return_dict=False,
        )[0]
        return prediction[:, : Qwen.token_count(noisy)]

    @staticmethod
    def lora_layers(*, feed_forward: bool, modulation: bool) -> str:
        layers = "|".join([ATTENTION, *[FEED_FORWARD] * feed_forward, *[MODULATION] * modulation])
        return rf"transformer_blocks\.\d+\.({layers})"

    def why_not(self, size: Size) -> str:
        if max(size) > MOST_RATIO * min(size):
            return f"Qwen-Image-Edit takes ratios up to {MOST_RATIO}:1"
        return ""

    def input_size(self, bucket: Size) -> Size:
        """A size that the pipeline keeps: it makes another shape of most that it brings to its area."""
        size = bucket
        while (kept := _size_of_area(edit_plus.VAE_IMAGE_SIZE, size)) != size:
            size = kept
        return size

    def text_encoding(self, instructions: set[str]) -> Callable[[Example], Mapping[str, Tensor]]:
        """Samples are of the first example, for which the empty instruction is embedded, too."""
        encoder = QwenImageEditPlusPipeline.from_pretrained(
            self.folder, transformer=None, vae=None, processor=None, dtype=self.dtype
        ).to(self.text_device())
        is_first = True

        def encode_text(example: Example) -> Mapping[str, Tensor]:
            nonlocal is_first
            if is_first:
                self.empty_text = self._text(encoder, example.controls, NOTHING)
                is_first = False
            return self._text(encoder, example.controls, example.instruction)

        return encode_text

    def normalized_latents(self, pixels: Tensor) -> Tensor:
        latents = self.vae.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0]
        mean, deviation = (
            torch.tensor(each).view(1, -1, 1, 1).to(latents)
            for each in (self.vae.config.latents_mean, self.vae.config.latents_std)
        )
        return (latents - mean) / deviation

    def sample_inputs(self, example: Example, batch: Batch) -> dict[str, Any]:
        return self._inputs(example.controls, batch.text, self.empty_text)

    def run_inputs(self, pipe: Any, images: Sequence[Image.Image], prompt: str, size: Size) -> dict[str, Any]:
        with torch.no_grad():
            texts = [self._text(pipe, images, each) for each in (prompt, NOTHING)]
        return self._inputs(images, *texts)

    def _inputs(
        self, images: Sequence[Image.Image], text: Mapping[str, Tensor], empty: Mapping[str, Tensor]
    ) -> dict[str, Any]:
        return {
            "image": list(images),
            "prompt_embeds": text["prompt"].to(self.device),
            "prompt_embeds_mask": text["mask"].to(self.device),
            "negative_prompt_embeds": empty["prompt"].to(self.device),
            "negative_prompt_embeds_mask": empty["mask"].to(self.device),
        }

    def _text(self, pipe: Any, images: Sequence[Image.Image], instruction: str) -> dict[str, Tensor]:
        """Embed an instruction with its input images.

        `pipe.encode_prompt` does not say which tokens are of an image, so that Qwen2.5-VL takes their places
        for those of words (huggingface/diffusers#14194).
        """
        seen = [
            each.resize(_size_of_area(edit_plus.CONDITION_IMAGE_SIZE, each.size), Image.Resampling.LANCZOS)
            for each in images
        ]
        patches = self.image_processor(seen, return_tensors="pt").to(pipe.device)
        counts = patches["image_grid_thw"].prod(dim=1) // self.image_processor.merge_size**2
        pictures = "".join(
            f"Picture {number}: <|vision_start|>{IMAGE * int(count)}<|vision_end|>"
            for number, count in enumerate(counts, start=1)
        )
        text = pipe.prompt_template_encode.format(pictures + instruction.replace(IMAGE, ""))
        tokens = pipe.tokenizer(text, return_tensors="pt").to(pipe.device)
        states = pipe.text_encoder(
            **tokens,
            **patches,
            mm_token_type_ids=(tokens["input_ids"] == pipe.text_encoder.config.image_token_id).int(),
            output_hidden_states=True,
        ).hidden_states[-1]
        prompt = states[:, pipe.prompt_template_encode_start_idx :].cpu()
        return {"prompt": prompt, "mask": torch.ones(prompt.shape[:2], dtype=torch.long)}


def _size_of_area(area: int, shape: Size) -> Size:
    """The size in which the pipeline shows an image of this shape, of about `area` pixels."""
    width, height = edit_plus.calculate_dimensions(area, shape[0] / shape[1])
    return width, height
