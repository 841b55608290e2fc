"""Models for tests: the tiny classes with random weights, which take no pretraining."""

from __future__ import annotations

from pathlib import Path

import torch

from finetune_portal.engine.trainers.tiny import build, klein, qwen


def random_model(folder: Path, *, seed: int = 0) -> Path:
    """Save a model. Weights that are zero in a fresh one, and would hide every change, are random, too."""
    torch.manual_seed(seed)
    pipe = build.pipeline()
    for parameter in pipe.transformer.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    pipe.save_pretrained(folder)
    return folder


def random_klein(folder: Path) -> Path:
    """Save a FLUX.2 klein, with statistics of its latents that are not those of a fresh batch norm."""
    torch.manual_seed(0)
    pipe = klein.pipeline()
    pipe.vae.bn.running_mean.normal_()
    pipe.vae.bn.running_var.uniform_(0.5, 2.0)
    pipe.save_pretrained(folder)
    return folder


def random_qwen(folder: Path) -> Path:
    """Save a Qwen-Image-Edit, with weights so large that texts and input images show in a sample."""
    torch.manual_seed(0)
    pipe = qwen.pipeline()
    for part in (pipe.text_encoder, pipe.transformer, pipe.vae.decoder):
        for parameter in part.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.2)
    qwen.save(pipe, folder)
    return folder
