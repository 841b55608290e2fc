"""Snippets that use a downloaded model: with diffusers, in ComfyUI. Pure text.

Those that run it by the portal's API are in gateway/snippets.py. There is none for the provider's API: it
needs the account's key, which only the server has. Where a trainer writes its file for one of the two, the
other has no snippet.
"""

from __future__ import annotations

from dataclasses import dataclass

from finetune_portal.connections import trainers
from finetune_portal.jobs import display
from finetune_portal.jobs.models import Job
from finetune_portal.providers.segmind import trainer as segmind

FORMAT, FOR_COMFY = "output_lora_format", "comfy"  # a parameter of trainers, and its value for ComfyUI
NO_WISHES = ', negative_prompt=" "'  # without one Qwen's pipelines take no notice of the guidance


@dataclass(frozen=True)
class Snippet:
    name: str
    text: str


@dataclass(frozen=True)
class Pipeline:
    """How diffusers loads a base model and calls it; `options` follow the prompt."""

    name: str
    repository: str
    options: str = ""


KONTEXT = Pipeline("FluxKontextPipeline", "black-forest-labs/FLUX.1-Kontext-dev", ", guidance_scale=2.5")
READ_BY_DIFFUSERS = ("fal",)  # providers that name their weights as diffusers reads them
PIPELINES = {  # by base model; one that is not here has no snippet
    segmind.KONTEXT.base_model: KONTEXT,
    "FLUX.2 klein 4B base": Pipeline("Flux2KleinPipeline", "black-forest-labs/FLUX.2-klein-base-4B"),
    "FLUX.2 klein 9B base": Pipeline("Flux2KleinPipeline", "black-forest-labs/FLUX.2-klein-base-9B"),
    "FLUX.2 [dev]": Pipeline("Flux2Pipeline", "black-forest-labs/FLUX.2-dev"),
    "Qwen-Image-Edit-2511": Pipeline("QwenImageEditPlusPipeline", "Qwen/Qwen-Image-Edit-2511", NO_WISHES),
    "Qwen-Image-Edit-2509": Pipeline("QwenImageEditPlusPipeline", "Qwen/Qwen-Image-Edit-2509", NO_WISHES),
    "Qwen-Image-Edit": Pipeline("QwenImageEditPipeline", "Qwen/Qwen-Image-Edit", NO_WISHES),
}


def snippets(job: Job) -> list[Snippet]:
    """Name the file as the download does; none for a model that its base model cannot load or use."""
    if not job.can_download or job.is_simulated or display.is_tiny_model(job):
        return []
    if not job.trainer:
        return [_diffusers(job, KONTEXT), _comfy(job, "FLUX.1 Kontext")]
    trainer = trainers.find(job.connection, job.trainer)
    is_read = job.is_at_segmind or job.connection.provider in READ_BY_DIFFUSERS
    if trainer is None or not is_read:
        return []
    if job.parameters.get(FORMAT) == FOR_COMFY:
        return [_comfy(job, trainer.base_model)]
    pipeline = PIPELINES.get(trainer.base_model)
    return [_diffusers(job, pipeline)] if pipeline else []


def _diffusers(job: Job, pipeline: Pipeline) -> Snippet:
    text = f"""import torch
from diffusers import {pipeline.name}
from diffusers.utils import load_image

pipe = {pipeline.name}.from_pretrained("{pipeline.repository}", torch_dtype=torch.bfloat16)
pipe.load_lora_weights({job.model_file_name!r})
pipe.to("cuda")
image = load_image("image.jpg")
pipe(image=image, prompt={job.instance_prompt!r}{pipeline.options}).images[0].save("result.jpg")"""
    return Snippet("diffusers", text)


def _comfy(job: Job, base_model: str) -> Snippet:
    text = f"""1. Put {job.model_file_name} into ComfyUI/models/loras/
2. Open the {base_model} template
3. Add "LoraLoaderModelOnly" between "Load Diffusion Model" and the sampler, and choose the file
4. Strength 1.0 is a good start"""
    return Snippet("ComfyUI", text)
