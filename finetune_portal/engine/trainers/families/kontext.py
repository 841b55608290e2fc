"""The parts of FLUX.1-Kontext, each on the device only while it is needed."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    BitsAndBytesConfig,
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxTransformer2DModel,
)
from peft import LoraConfig
from PIL import Image
from torch import Tensor

from finetune_portal.engine.trainers.families.examples import Batch, Example

SMALL_CARD = 40 * 1024**3
SAMPLE_STEPS = 20
SAMPLE_GUIDANCE = 2.5
ATTENTION = r"attn\.(to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out)"
FEED_FORWARD = r"ff\.net\.0\.proj|ff\.net\.2|ff_context\.net\.0\.proj|ff_context\.net\.2|proj_mlp|proj_out"


class MissingPackage(Exception):
    """What to install, in a sentence for the operator."""


class Kontext:
    """The model of one training. Weights are frozen, but for the LoRA that `transformer` is given."""

    def __init__(self, folder: Path, *, memory: str) -> None:
        self.folder = folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        room = torch.cuda.get_device_properties(0).total_memory if self.device.type == "cuda" else SMALL_CARD
        self.small = memory == "small" or (memory == "auto" and room < SMALL_CARD)
        self.vae = AutoencoderKL.from_pretrained(folder, subfolder="vae", dtype=self.dtype)
        self.vae.requires_grad_(False)
        self.scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder, subfolder="scheduler")
        self.multiple = 2 ** len(self.vae.config.block_out_channels)  # a token is 2 x 2 latents
        self.resolution = int(self.vae.config.sample_size)

    def encoded(self, examples: list[Example]) -> list[Batch]:
        """Each example as a batch of one, on the CPU."""
        with torch.no_grad():
            prompts = self._prompts([each.instruction for each in examples])
            with self._vae_at_work():
                return [
                    Batch(self._latents(each.target), self._latents(each.control), *prompts[each.instruction])
                    for each in examples
                ]

    def _prompts(self, instructions: list[str]) -> dict[str, tuple[Tensor, Tensor]]:
        """Embeddings of each instruction by both text encoders, which are gone afterwards."""
        encoder = FluxKontextPipeline.from_pretrained(
            self.folder, transformer=None, vae=None, dtype=self.dtype
        ).to(self.device)
        found = {}
        for text in set(instructions):
            length = min(512, encoder.tokenizer_2.model_max_length)
            prompt, pooled, _ids = encoder.encode_prompt(text, None, max_sequence_length=length)
            found[text] = (prompt.cpu(), pooled.cpu())
        del encoder
        free()
        return found

    @contextmanager
    def _vae_at_work(self) -> Iterator[None]:
        self.vae.to(self.device)
        try:
            yield
        finally:
            self.vae.to("cpu")
            free()

    def _latents(self, picture: Image.Image) -> Tensor:
        pixels = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        found = self.vae.encode(pixels.to(self.device, self.dtype)).latent_dist.mode()
        return ((found - self.vae.config.shift_factor) * self.vae.config.scaling_factor).cpu()

    def transformer(self, *, rank: int, alpha: int, feed_forward: bool, seed: int) -> Any:
        """The frozen transformer with a fresh LoRA, which changes nothing yet."""
        made = self.base()
        add_lora(made, rank=rank, alpha=alpha, feed_forward=feed_forward, seed=seed)
        if self.device.type == "cuda":
            made.enable_gradient_checkpointing()
        return made

    def base(self) -> Any:
        """The transformer as it is on disk, in 4 bits on a small card."""
        options: dict[str, Any] = {"dtype": self.dtype}
        if self.small and self.device.type == "cuda":
            bits_and_bytes()
            options["quantization_config"] = BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=self.dtype
            )
        made = FluxTransformer2DModel.from_pretrained(self.folder, subfolder="transformer", **options)
        if not self.small:
            made.to(self.device)
        return made

    def optimizer(self, transformer: Any, rate: float) -> Any:
        kind = (
            bits_and_bytes().optim.AdamW8bit
            if self.small and self.device.type == "cuda"
            else torch.optim.AdamW
        )
        trained = [each for each in transformer.parameters() if each.requires_grad]
        return kind(trained, lr=rate, betas=(0.9, 0.999), weight_decay=1e-4)

    def picture(self, transformer: Any, batch: Batch, *, size: tuple[int, int], seed: int) -> Image.Image:
        """What the model makes of the control image: through the pipeline, with the embeddings at hand."""
        pipe = FluxKontextPipeline(self.scheduler, self.vae, None, None, None, None, transformer)
        pipe.set_progress_bar_config(disable=True)
        with torch.no_grad(), self._vae_at_work():
            made = pipe(
                image=batch.controls.to(self.device, self.dtype),
                prompt_embeds=batch.prompts.to(self.device),
                pooled_prompt_embeds=batch.pooled.to(self.device),
                width=size[0],
                height=size[1],
                max_area=size[0] * size[1],
                num_inference_steps=SAMPLE_STEPS,
                guidance_scale=SAMPLE_GUIDANCE,
                generator=torch.Generator().manual_seed(seed),
            )
        found: Image.Image = made.images[0]
        return found


def add_lora(transformer: Any, *, rank: int, alpha: int, feed_forward: bool, seed: int) -> None:
    """Freeze everything and put a LoRA on the attention layers; its B is zero."""
    transformer.requires_grad_(False)
    layers = f"{ATTENTION}|{FEED_FORWARD}" if feed_forward else ATTENTION
    torch.manual_seed(seed)
    transformer.add_adapter(
        LoraConfig(
            r=rank,
            lora_alpha=alpha or rank,
            init_lora_weights="gaussian",
            target_modules=rf".*transformer_blocks\.\d+\.({layers})",
        )
    )
    for parameter in transformer.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def bits_and_bytes() -> Any:
    try:
        return importlib.import_module("bitsandbytes")
    except ImportError:
        raise MissingPackage(
            "This card is small: the training needs the package bitsandbytes. Run: pip install bitsandbytes. "
            "Or set memory to full in advance_parameters."
        ) from None


def free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def ran_out(fault: BaseException) -> bool:
    """Whether it was memory; on the CPU PyTorch says so by a RuntimeError of this wording only."""
    if isinstance(fault, MemoryError | torch.OutOfMemoryError):
        return True
    return "not enough memory" in str(fault) or "t allocate memory" in str(fault)
