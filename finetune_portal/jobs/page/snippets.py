"""Snippets that use a downloaded model: with diffusers, in ComfyUI. Pure text.

There is none for the provider's API: it needs the account's key, which only the server has.
"""

from __future__ import annotations

from dataclasses import dataclass

from finetune_portal.jobs import display
from finetune_portal.jobs.models import Job


@dataclass(frozen=True)
class Snippet:
    name: str
    text: str


def snippets(job: Job) -> list[Snippet]:
    """Name the file as the download does; none for a model that its base model cannot load or use."""
    if not job.can_download or job.is_simulated or display.is_tiny_model(job):
        return []
    file = job.model_file_name
    return [
        Snippet("diffusers", _diffusers(file, job.instance_prompt)),
        Snippet("ComfyUI", _comfy(file)),
    ]


def _diffusers(file: str, prompt: str) -> str:
    return f"""import torch
from diffusers import FluxKontextPipeline
from diffusers.utils import load_image

pipe = FluxKontextPipeline.from_pretrained("black-forest-labs/FLUX.1-Kontext-dev", torch_dtype=torch.bfloat16)
pipe.load_lora_weights({file!r})
pipe.to("cuda")
image = load_image("image.jpg")
pipe(image=image, prompt={prompt!r}, guidance_scale=2.5).images[0].save("result.jpg")"""


def _comfy(file: str) -> str:
    return f"""1. Put {file} into ComfyUI/models/loras/
2. Open the FLUX.1 Kontext template
3. Add "LoraLoaderModelOnly" between "Load Diffusion Model" and the sampler, and choose the file
4. Strength 1.0 is a good start"""
