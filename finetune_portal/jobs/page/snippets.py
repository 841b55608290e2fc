"""Snippets that use a trained model: over the API, with diffusers, in ComfyUI. Pure text."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from finetune_portal.jobs.models import Job

IMAGE_URL = "https://example.com/image.jpg"


@dataclass(frozen=True)
class Snippet:
    name: str
    text: str


def snippets(job: Job, base_url: str) -> list[Snippet]:
    """Use the request body of the base model: the provider documents none for a fine-tune.

    Source: docs/provider-api.md, 13.
    """
    body = {"prompt": job.instance_prompt, "input_image": IMAGE_URL}
    url = f"{base_url}/v1/{job.slug}"
    file = f"{job.name_at_provider.replace(' ', '-')}.safetensors"
    over_api = []
    if job.slug:
        over_api = [Snippet("curl", _curl(url, body)), Snippet("Python", _python(url, body))]
    return [
        *over_api,
        Snippet("diffusers", _diffusers(file, job.instance_prompt)),
        Snippet("ComfyUI", _comfy(file)),
    ]


def _curl(url: str, body: dict[str, str]) -> str:
    payload = shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))
    return f"""curl {shlex.quote(url)} \\
  --header "x-api-key: $SEGMIND_API_KEY" \\
  --json {payload} \\
  --output result.jpg"""


def _python(url: str, body: dict[str, str]) -> str:
    return f"""import os
import requests

response = requests.post(
    {url!r},
    headers={{"x-api-key": os.environ["SEGMIND_API_KEY"]}},
    json={json.dumps(body, indent=8, ensure_ascii=False).replace("}", "    }")},
    timeout=120,
)
response.raise_for_status()
open("result.jpg", "wb").write(response.content)"""


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
