"""What every family of base models shares: parts on the device only while needed, and the LoRA."""

from __future__ import annotations

import gc
import importlib
import math
import resource
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import BitsAndBytesConfig, FlowMatchEulerDiscreteScheduler, TorchAoConfig
from peft import LoraConfig
from PIL import Image
from torch import Tensor

from finetune_portal.engine.trainers import packages
from finetune_portal.engine.trainers.families.examples import Batch, Example, Size
from finetune_portal.engine.trainers.memory import FULL, INT8, SMALL, SPARE, TINY, WORDS, Needs, choose


class MissingPackageError(Exception):
    """Says what to install, in a sentence for the operator."""


class Family(ABC):
    """The base model of one training. All weights are frozen but those of the LoRA.

    A subclass is one family: its classes, how it encodes, what its transformer takes, and its layers. What a
    step needs beside the transformer is static, so that a step can be measured without a folder.
    """

    pipeline: ClassVar[Any]
    vae_class: ClassVar[Any]
    transformer_class: ClassVar[Any]
    text_parts: ClassVar[Sequence[str]]  # of the pipeline: absent where the instruction is embedded already
    unused_parts: ClassVar[Sequence[str]] = ()  # of the pipeline that stay absent in the whole one, too
    guidance_argument: ClassVar[str] = "guidance_scale"  # of the pipeline
    sample_steps: int
    sample_guidance: float
    most_area: ClassVar[float] = math.inf  # pixels of an input image that the pipeline does not shrink
    metadata: ClassVar[Mapping[str, str]]  # by which managers of LoRAs tell the base model

    def __init__(self, folder: Path, *, memory: str, needs: Needs = TINY) -> None:
        """`memory`: see `parameters.KNOWN`. `needs` are those of the base model in the folder."""
        self.folder = folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        is_cuda = self.device.type == "cuda"
        self.dtype = torch.bfloat16 if is_cuda else torch.float32
        self.card = torch.cuda.get_device_properties(0).total_memory if is_cuda else math.inf
        self.memory = choose(memory, needs, self.card)
        if self.memory == SMALL and not is_cuda:
            self.memory = FULL  # 4 bits need a GPU
        if self.memory in packages.QUANTIZERS:  # what is missing is said before the dataset is encoded
            _import(packages.QUANTIZERS[self.memory], self.memory)
        self.vae = self.vae_class.from_pretrained(folder, subfolder="vae", dtype=self.dtype)
        self.vae.requires_grad_(False)
        self.scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder, subfolder="scheduler")

    @property
    def multiple(self) -> int:
        """Pixels of which the sides of an image are multiples: a token is 2 x 2 latents."""
        return int(2 ** len(self.vae.config.block_out_channels))

    @property
    def resolution(self) -> int:
        """The side in pixels of a square as large as the images, where a request names none."""
        return int(self.vae.config.sample_size)

    @staticmethod
    def pack(latents: Tensor) -> Tensor:
        """(count, channels, height, width) to the tokens of the transformer, (count, tokens, width)."""
        return pack_latents(latents)

    @staticmethod
    @abstractmethod
    def velocity(transformer: Any, noisy: Tensor, batch: Batch, sigmas: Tensor, guidance: float) -> Tensor:
        """What the transformer predicts for the noisy latents of the targets, as tokens like those of `pack`.

        `sigmas`: (count,). `guidance` counts where the transformer has such an input.
        """

    @staticmethod
    def token_count(latents: Tensor) -> int:
        """How many tokens these latents have."""
        count: int = latents[0, 0].numel()
        return count // 4

    @staticmethod
    @abstractmethod
    def lora_layers(*, feed_forward: bool, modulation: bool) -> str:
        """A pattern of the layers that get a LoRA: the attention, and the others as asked."""

    def why_not(self, size: Size) -> str:
        """Why the pipeline does not take an image of this size, as a clause; empty where it does."""
        return ""

    def input_size(self, bucket: Size) -> Size:
        """The size in which the transformer is shown an input image whose bucket is this one."""
        return bucket

    @abstractmethod
    def text_encoding(self, instructions: set[str]) -> Callable[[Example], Mapping[str, Tensor]]:
        """What embeds the text of an example, as `Batch.text` has it, on the CPU.

        `instructions` are those of all examples. Where a text depends on nothing else, all are embedded here,
        and the text encoders leave; else they stay for as long as the function does.
        """

    @abstractmethod
    def normalized_latents(self, pixels: Tensor) -> Tensor:
        """The latents of images, (count, 3, height, width) from -1 to 1, as the transformer takes them."""

    def shift_sigmas(self, even: Tensor, tokens: int) -> Tensor:
        """Shift sigmas as the schedule of a sample does, whose target has so many tokens."""
        return shift_sigmas(self.scheduler, even, tokens)

    @abstractmethod
    def sample_inputs(self, example: Example, batch: Batch) -> dict[str, Any]:
        """What the pipeline is given of an encoded example, beside what every family gives it."""

    @abstractmethod
    def run_inputs(self, pipe: Any, images: Sequence[Image.Image], prompt: str, size: Size) -> dict[str, Any]:
        """What the whole pipeline is given of a request, beside what every family gives it."""

    def generate(self, transformer: Any, example: Example, batch: Batch, *, seed: int) -> Image.Image:
        """Run the pipeline on one encoded example."""
        absent = dict.fromkeys(self.text_parts)
        pipe = self.pipeline(scheduler=self.scheduler, vae=self.vae, transformer=transformer, **absent)
        pipe.set_progress_bar_config(disable=True)
        with torch.no_grad(), self.vae_on_device():
            return _first_image(
                pipe,
                {**self.sample_inputs(example, batch), self.guidance_argument: self.sample_guidance},
                size=example.target.size,
                steps=self.sample_steps,
                seed=seed,
            )

    def run(
        self,
        pipe: Any,
        images: Sequence[Image.Image],
        *,
        prompt: str,
        size: Size,
        steps: int,
        guidance: float,
        seed: int,
    ) -> Image.Image:
        """Generate an image of this size with the whole pipeline of `load_pipeline`."""
        inputs = {**self.run_inputs(pipe, images, prompt, size), self.guidance_argument: guidance}
        return _first_image(pipe, inputs, size=size, steps=steps, seed=seed)

    def encode(
        self, instructions: Iterable[str], examples: Iterable[Example]
    ) -> Iterator[tuple[Example, Batch]]:
        """Encode each example as a batch of one, on the CPU. The images of one at a time are in memory.

        `instructions` are those of all examples.
        """
        with torch.no_grad():
            encode_text = self.text_encoding(set(instructions))
            with self.vae_on_device():
                for each in examples:
                    controls = tuple(self._encode_image(image) for image in each.controls)
                    yield each, Batch(self._encode_image(each.target), controls, encode_text(each))
                del encode_text  # and what it holds, before the memory is freed

    @contextmanager
    def vae_on_device(self) -> Iterator[None]:
        self.vae.to(self.device)
        try:
            yield
        finally:
            self.vae.to("cpu")
            free_memory()

    def _encode_image(self, image: Image.Image) -> Tensor:
        """The latents of an RGB image, (1, channels, height, width), on the CPU."""
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        return self.normalized_latents(pixels.to(self.device, self.dtype)).cpu()

    def load_transformer(self, *, rank: int, alpha: int, layers: str, seed: int) -> Any:
        """The frozen transformer with a fresh LoRA, which changes nothing yet."""
        transformer = self.load_base_transformer()
        add_lora(transformer, rank=rank, alpha=alpha, layers=layers, seed=seed)
        if self.device.type == "cuda":
            transformer.enable_gradient_checkpointing()
        return transformer

    def load_base_transformer(self) -> Any:
        """The transformer on the device, quantized where the GPU is small."""
        transformer = self.transformer_class.from_pretrained(
            self.folder, subfolder="transformer", dtype=self.dtype, quantization_config=self._quantization()
        )
        return transformer if self.memory == SMALL else transformer.to(self.device)  # bitsandbytes moves it

    def _quantization(self) -> Any:
        if self.memory == INT8:
            quantization = _import("torchao.quantization", INT8)
            return TorchAoConfig(quantization.Int8WeightOnlyConfig())
        if self.memory == SMALL:
            return BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=self.dtype
            )
        return None

    def load_pipeline(self) -> Any:
        """The whole pipeline, for images of finished models."""
        absent = dict.fromkeys(self.unused_parts)
        pipe = self.pipeline.from_pretrained(
            self.folder,
            transformer=self.load_base_transformer(),
            vae=self.vae,
            dtype=self.dtype,
            **absent,
        )
        pipe.set_progress_bar_config(disable=True)
        if self.device.type == "cuda" and not self._has_room_for(("transformer", "vae", *self.text_parts)):
            pipe.enable_model_cpu_offload()
        else:
            pipe.to(self.device)
        return pipe

    def text_device(self) -> torch.device:
        """Where the text encoders run: on the CPU if the GPU is too small, which is slow, but once."""
        return self.device if self._has_room_for(self.text_parts) else torch.device("cpu")

    def _has_room_for(self, parts: Iterable[str]) -> bool:
        """Whether the GPU holds these parts of the folder at the same time, as they are on the disk."""
        files = (path for part in parts for path in (self.folder / part).glob("*.safetensors"))
        return sum(path.stat().st_size for path in files) <= self.card * (1 - SPARE)

    def optimizer(self, transformer: Any, learning_rate: float) -> Any:
        adamw = _import("bitsandbytes", SMALL).optim.AdamW8bit if self.memory == SMALL else torch.optim.AdamW
        trained = [parameter for parameter in transformer.parameters() if parameter.requires_grad]
        return adamw(trained, lr=learning_rate, betas=(0.9, 0.999), weight_decay=1e-4)

    def peak_memory(self) -> int:
        """The most bytes that were taken so far: of the GPU, or on the CPU of this process."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated())
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def add_lora(transformer: Any, *, rank: int, alpha: int, layers: str, seed: int) -> None:
    """Freeze everything and add a LoRA to these layers. Its B is zero, so it changes nothing yet."""
    transformer.requires_grad_(False)
    torch.manual_seed(seed)
    transformer.add_adapter(
        LoraConfig(r=rank, lora_alpha=alpha or rank, init_lora_weights="gaussian", target_modules=layers)
    )
    for parameter in transformer.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def pack_latents(latents: Tensor) -> Tensor:
    """Tokens of 2 x 2 latents.

    (count, channels, height, width) to (count, height * width / 4, channels * 4).
    """
    count, channels, height, width = latents.shape
    squares = latents.reshape(count, channels, height // 2, 2, width // 2, 2)
    return squares.permute(0, 2, 4, 1, 3, 5).reshape(count, height * width // 4, channels * 4)


def shift_sigmas(scheduler: FlowMatchEulerDiscreteScheduler, even: Tensor, tokens: int) -> Tensor:
    """Shift sigmas by the config of the scheduler, for a target of so many tokens."""
    config = scheduler.config
    if not config.use_dynamic_shifting:
        return config.shift * even / (1 + (config.shift - 1) * even)
    slope = (config.max_shift - config.base_shift) / (config.max_image_seq_len - config.base_image_seq_len)
    mu = config.base_shift + slope * (tokens - config.base_image_seq_len)
    return scheduler.time_shift(mu, 1.0, even)


def _first_image(pipe: Any, inputs: Mapping[str, Any], *, size: Size, steps: int, seed: int) -> Image.Image:
    image: Image.Image = pipe(
        **inputs,
        width=size[0],
        height=size[1],
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(seed),
    ).images[0]
    return image


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out. On the CPU, PyTorch raises a RuntimeError and only its message says so."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "not enough memory" in str(error) or "t allocate memory" in str(error)


def free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _import(module: str, memory: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingPackageError(
            f"This training loads the base model {WORDS[memory]}, which needs the package "
            f"{packages.QUANTIZERS[memory]}. {packages.quantizer_advice(memory)}. "
            "Or set memory to full in advance_parameters."
        ) from None
