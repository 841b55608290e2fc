"""Seconds a step, and peak memory: our trainer beside the recipe of diffusers' example for Kontext LoRA.

    .venv-train/bin/python -m tests.bench.train

On a GPU both train the full-size transformer of FLUX.1-Kontext (12 billion random weights, bf16, with
gradient checkpointing) at 512 and 1024 pixels; on the CPU the tiny one at 112. Rank, layers, batch, optimizer
and steps are the same. Each run is a process of its own, so that its memory is its own; there are two of
each, in turn.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from diffusers import FlowMatchEulerDiscreteScheduler, FluxKontextPipeline, FluxTransformer2DModel
from diffusers.optimization import get_scheduler
from peft import LoraConfig

from finetune_portal.engine.trainers import parameters
from finetune_portal.engine.trainers.families.examples import Batch
from finetune_portal.engine.trainers.families.family import add_lora
from finetune_portal.engine.trainers.families.kontext import Kontext
from finetune_portal.engine.trainers.lora.distributed import ProcessGroup
from finetune_portal.engine.trainers.lora.learner import Learner
from finetune_portal.engine.trainers.tiny import autoencoder, build

RANK, LEARNING_RATE, UNTIMED = 16, 1e-4, 3
LAYERS = Kontext.lora_layers(feed_forward=True, modulation=True)
Step = Callable[[int, Batch], object]


class BaseModel(NamedTuple):
    transformer: Any  # frozen
    dtype: torch.dtype
    tokens: int  # of an instruction
    block: int  # pixels to the side of a latent


def load_model(device: torch.device) -> BaseModel:
    torch.manual_seed(0)
    if device.type == "cpu":
        return BaseModel(
            build.transformer().requires_grad_(False), torch.float32, build.TOKENS, autoencoder.BLOCK
        )
    torch.set_default_dtype(torch.bfloat16)
    with device:
        transformer = FluxTransformer2DModel(guidance_embeds=True)
    torch.set_default_dtype(torch.float32)
    return BaseModel(transformer.requires_grad_(False), torch.bfloat16, 512, 8)


def random_batch(model: BaseModel, side: int, device: torch.device) -> Batch:
    config = model.transformer.config
    latents = (1, config.in_channels // 4, side // model.block, side // model.block)
    prompt, pooled = (1, model.tokens, config.joint_attention_dim), (1, config.pooled_projection_dim)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, device=device, dtype=model.dtype)

    text = {"prompt": random(*prompt), "pooled": random(*pooled)}
    return Batch(random(*latents), (random(*latents),), text)


def ours(transformer: Any, dtype: torch.dtype, steps: int) -> Step:
    request = {
        **parameters.with_defaults({"rank": RANK, "warmup_steps": 0}),
        "steps": steps,
        "learning_rate": LEARNING_RATE,
    }
    add_lora(transformer, rank=RANK, alpha=RANK, layers=LAYERS, seed=0)
    trained = [each for each in transformer.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, betas=(0.9, 0.999), weight_decay=1e-4)
    learner = Learner(
        Kontext, transformer, optimizer, request, dtype, ProcessGroup(), lambda even, _tokens: even
    )
    return lambda number, batch: learner.step(number, [batch])


def the_example(transformer: Any, dtype: torch.dtype, steps: int) -> Step:
    """As the example goes about it, with latents and embeddings at hand."""
    accelerator = Accelerator(mixed_precision="bf16" if dtype == torch.bfloat16 else "no")
    lora = LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=LAYERS)
    transformer.add_adapter(lora)
    trained = [each for each in transformer.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, betas=(0.9, 0.999), weight_decay=1e-4)
    lr_scheduler = get_scheduler("constant", optimizer=optimizer)
    wrapped, optimizer, lr_scheduler = accelerator.prepare(transformer, optimizer, lr_scheduler)
    scheduler = FlowMatchEulerDiscreteScheduler()
    pack_latents, ids_of = FluxKontextPipeline._pack_latents, FluxKontextPipeline._prepare_latent_image_ids

    def step(_number: int, batch: Batch) -> float:
        clean = batch.targets
        count, channels, height, width = clean.shape
        ids = ids_of(count, height // 2, width // 2, clean.device, dtype)
        control_ids = ids.clone()
        control_ids[..., 0] = 1
        noise = torch.randn_like(clean)
        chosen = (torch.rand(count) * scheduler.config.num_train_timesteps).long()
        sigma = scheduler.sigmas[chosen].to(clean).view(-1, 1, 1, 1)
        packed = [
            pack_latents(each, count, channels, height, width)
            for each in ((1 - sigma) * clean + sigma * noise, *batch.controls)
        ]
        answer = wrapped(
            hidden_states=torch.cat(packed, dim=1),
            timestep=scheduler.timesteps[chosen].to(clean) / 1000,
            guidance=torch.ones(count, device=clean.device),
            pooled_projections=batch.text["pooled"],
            encoder_hidden_states=batch.text["prompt"],
            txt_ids=torch.zeros(batch.text["prompt"].shape[1], 3, device=clean.device, dtype=dtype),
            img_ids=torch.cat([ids, control_ids]),
            return_dict=False,
        )[0][:, : packed[0].shape[1]]
        velocity = FluxKontextPipeline._unpack_latents(answer, height * 8, width * 8, 8)
        loss = ((velocity.float() - (noise - clean).float()) ** 2).reshape(count, -1).mean(1).mean()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(transformer.parameters(), 1.0)
        optimizer.step()
        lr_scheduler.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return step


RECIPES = {"ours": ours, "the example": the_example}


def measure(recipe: str, side: int, steps: int) -> dict[str, float]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(device)
    batch = random_batch(model, side, device)
    step = RECIPES[recipe](model.transformer, model.dtype, steps)
    if device.type == "cuda":
        model.transformer.enable_gradient_checkpointing()
    seconds = []
    for number in range(UNTIMED + steps):
        begun = time.perf_counter()
        step(number, batch)  # its answer is a number: the GPU is done
        seconds.append(time.perf_counter() - begun)
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else _peak_of_this_process()
    return {"seconds": statistics.median(seconds[UNTIMED:]), "gigabytes": peak / 1e9}


def _peak_of_this_process() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sides", type=int, nargs="+")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", nargs=2, metavar=("RECIPE", "SIDE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        say(json.dumps(measure(options.only[0], int(options.only[1]), options.steps)))
        return
    on_gpu = torch.cuda.is_available()
    where = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads, tiny model"
    say(f"{where}; torch {torch.__version__}; rank {RANK}, batch 1; {options.steps} steps, best of two runs")
    say("| side | recipe | seconds a step | peak memory |\n| --- | --- | --- | --- |")
    for side in options.sides or ([512, 1024] if on_gpu else [112]):
        runs = [(recipe, _apart(recipe, side, options.steps)) for _ in range(2) for recipe in RECIPES]
        for recipe in RECIPES:
            best = min(
                (result for name, result in runs if name == recipe), key=lambda result: result["seconds"]
            )
            say(f"| {side} | {recipe} | {best['seconds']:.3f} | {best['gigabytes']:.2f} GB |")


def _apart(recipe: str, side: int, steps: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.train", "--steps", str(steps), "--only", recipe, str(side)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
