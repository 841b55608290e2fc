"""FLUX.1-Kontext: its parts, each on the device only while it is needed."""

from __future__ import annotations

import gc
import importlib
import resource
from collections.abc import Iterable, Iterator
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

from finetune_portal.engine.trainers import packages
from finetune_portal.engine.trainers.devices import SMALL_CARD
from finetune_portal.engine.trainers.families.examples import Batch, Example

SAMPLE_STEPS = 20
SAMPLE_GUIDANCE = 2.5
ATTENTION = r"attn\.(to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out)"
FEED_FORWARD = r"ff\.net\.0\.proj|ff\.net\.2|ff_context\.net\.0\.proj|ff_context\.net\.2|proj_mlp|proj_out"
MODULATION = r"norm1\.linear|norm1_context\.linear|norm\.linear"


class MissingPackageError(Exception):
    """Says what to install, in a sentence for the operator."""


class Kontext:
    """The model of one training. All weights are frozen but those of the LoRA."""

    def __init__(self, folder: Path, *, memory: str) -> None:
        self.folder = folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        is_cuda = self.device.type == "cuda"
        self.dtype = torch.bfloat16 if is_cuda else torch.float32
        card = torch.cuda.get_device_properties(0).total_memory if is_cuda else SMALL_CARD
        self.is_quantized = is_cuda and (memory == "small" or (memory == "auto" and card < SMALL_CARD))
        if self.is_quantized:
            _import_bitsandbytes()  # what is missing is said before the dataset is encoded
        self.vae = AutoencoderKL.from_pretrained(folder, subfolder="vae", dtype=self.dtype)
        self.vae.requires_grad_(False)
        self.scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder, subfolder="scheduler")
        self.multiple = 2 ** len(self.vae.config.block_out_channels)  # pixels: a token is 2 x 2 latents
        self.resolution = int(self.vae.config.sample_size)

    def encode(
        self, instructions: Iterable[str], examples: Iterable[Example]
    ) -> Iterator[tuple[Example, Batch]]:
        """Encode each example as a batch of one, on the CPU. The images of one at a time are in memory.

        `instructions` are those of all examples: the text encoders read them first, and then leave.
        """
        with torch.no_grad():
            prompts = self._encode_prompts(instructions)
            with self._vae_on_device():
                for each in examples:
                    target, control = self._encode_image(each.target), self._encode_image(each.control)
                    yield each, Batch(target, control, *prompts[each.instruction])

    def _encode_prompts(self, instructions: Iterable[str]) -> dict[str, tuple[Tensor, Tensor]]:
        """Embed each instruction by both text encoders, then free them."""
        encoder = FluxKontextPipeline.from_pretrained(
            self.folder, transformer=None, vae=None, dtype=self.dtype
        ).to(self.device)
        embeddings = {}
        for text in set(instructions):
            length = min(512, encoder.tokenizer_2.model_max_length)
            prompt, pooled, _ids = encoder.encode_prompt(text, None, max_sequence_length=length)
            embeddings[text] = (prompt.cpu(), pooled.cpu())
        del encoder
        _free_memory()
        return embeddings

    @contextmanager
    def _vae_on_device(self) -> Iterator[None]:
        self.vae.to(self.device)
        try:
            yield
        finally:
            self.vae.to("cpu")
            _free_memory()

    def _encode_image(self, image: Image.Image) -> Tensor:
        """The latents of an RGB image, (1, channels, height, width), on the CPU."""
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        latents = self.vae.encode(pixels.to(self.device, self.dtype)).latent_dist.mode()
        return ((latents - self.vae.config.shift_factor) * self.vae.config.scaling_factor).cpu()

    def load_transformer(self, *, rank: int, alpha: int, layers: str, seed: int) -> Any:
        """The frozen transformer with a fresh LoRA, which changes nothing yet."""
        transformer = self.load_base_transformer()
        add_lora(transformer, rank=rank, alpha=alpha, layers=layers, seed=seed)
        if self.device.type == "cuda":
            transformer.enable_gradient_checkpointing()
        return transformer

    def load_base_transformer(self) -> Any:
        """The transformer on the device; on a small card in 4 bits, which bitsandbytes puts there itself."""
        if not self.is_quantized:
            return FluxTransformer2DModel.from_pretrained(
                self.folder, subfolder="transformer", dtype=self.dtype
            ).to(self.device)
        _import_bitsandbytes()
        quantization = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=self.dtype
        )
        return FluxTransformer2DModel.from_pretrained(
            self.folder, subfolder="transformer", dtype=self.dtype, quantization_config=quantization
        )

    def optimizer(self, transformer: Any, learning_rate: float) -> Any:
        adamw = _import_bitsandbytes().optim.AdamW8bit if self.is_quantized else torch.optim.AdamW
        trained = [parameter for parameter in transformer.parameters() if parameter.requires_grad]
        return adamw(trained, lr=learning_rate, betas=(0.9, 0.999), weight_decay=1e-4)

    def generate(self, transformer: Any, batch: Batch, *, size: tuple[int, int], seed: int) -> Image.Image:
        """Run the pipeline on one encoded example; `size` is width and height in pixels."""
        pipe = FluxKontextPipeline(self.scheduler, self.vae, None, None, None, None, transformer)
        pipe.set_progress_bar_config(disable=True)
        with torch.no_grad(), self._vae_on_device():
            images: list[Image.Image] = pipe(
                image=batch.controls.to(self.device, self.dtype),
                prompt_embeds=batch.prompts.to(self.device),
                pooled_prompt_embeds=batch.pooled.to(self.device),
                width=size[0],
                height=size[1],
                max_area=size[0] * size[1],
                num_inference_steps=SAMPLE_STEPS,
                guidance_scale=SAMPLE_GUIDANCE,
                generator=torch.Generator().manual_seed(seed),
            ).images
        return images[0]

    def shift_sigmas(self, even: Tensor, tokens: int) -> Tensor:
        """Shift sigmas as the schedule of a sample does, whose target has so many tokens."""
        return shift_sigmas(self.scheduler, even, tokens)

    def peak_memory(self) -> int:
        """The most bytes that were taken so far: of the GPU, or on the CPU of this process."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated())
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def lora_layers(*, feed_forward: bool, modulation: bool) -> str:
    """A pattern of the layers of a block that get a LoRA: the attention, and the others as asked."""
    return "|".join([ATTENTION, *[FEED_FORWARD] * feed_forward, *[MODULATION] * modulation])


def add_lora(transformer: Any, *, rank: int, alpha: int, layers: str, seed: int) -> None:
    """Freeze everything and add a LoRA to these layers. Its B is zero, so it changes nothing yet."""
    transformer.requires_grad_(False)
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


def shift_sigmas(scheduler: FlowMatchEulerDiscreteScheduler, even: Tensor, tokens: int) -> Tensor:
    config = scheduler.config
    if not config.use_dynamic_shifting:
        return config.shift * even / (1 + (config.shift - 1) * even)
    slope = (config.max_shift - config.base_shift) / (config.max_image_seq_len - config.base_image_seq_len)
    mu = config.base_shift + slope * (tokens - config.base_image_seq_len)
    return scheduler.time_shift(mu, 1.0, even)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out. On the CPU, PyTorch raises a RuntimeError and only its message says so."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "not enough memory" in str(error) or "t allocate memory" in str(error)


def _import_bitsandbytes() -> Any:
    try:
        return importlib.import_module(packages.QUANTIZER)
    except ImportError:
        raise MissingPackageError(
            f"This training loads the base model in 4 bits, which needs the package {packages.QUANTIZER}. "
            f"{packages.quantizer_advice()}. Or set memory to full in advance_parameters."
        ) from None


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
