"""The loss of one step: how far the velocity is from the straight way between picture and noise.

Facts of FLUX.1-Kontext: latents are packed 2 x 2 into tokens; the control image's tokens follow those of the
picture that is being made, with the same places but a first id of 1; the guidance is an input.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from finetune_portal.engine.trainers.families.examples import Batch


def packed(latents: Tensor) -> Tensor:
    """Each 2 x 2 square of latents as one token."""
    count, channels, height, width = latents.shape
    squares = latents.reshape(count, channels, height // 2, 2, width // 2, 2)
    return squares.permute(0, 2, 4, 1, 3, 5).reshape(count, height * width // 4, channels * 4)


def places(latents: Tensor, first: int) -> Tensor:
    """The ids of the tokens: which picture, row, column."""
    rows, columns = latents.shape[2] // 2, latents.shape[3] // 2
    ids = torch.zeros(rows, columns, 3, device=latents.device, dtype=latents.dtype)
    ids[..., 0] = first
    ids[..., 1] += torch.arange(rows, device=latents.device)[:, None]
    ids[..., 2] += torch.arange(columns, device=latents.device)[None, :]
    return ids.reshape(rows * columns, 3)


def flow_matching_loss(
    transformer: Any, batch: Batch, noise: Tensor, sigmas: Tensor, guidance: float
) -> Tensor:
    """Mean squared error of the velocity. `sigmas`: one an example; 0 is the picture, 1 is noise."""
    mixed = torch.lerp(batch.targets, noise, sigmas.view(-1, 1, 1, 1).to(noise))
    tokens = packed(mixed)
    answer = transformer(
        hidden_states=torch.cat([tokens, packed(batch.controls)], dim=1),
        timestep=sigmas.to(tokens),
        guidance=torch.full_like(sigmas, guidance) if transformer.config.guidance_embeds else None,
        pooled_projections=batch.pooled,
        encoder_hidden_states=batch.prompts,
        txt_ids=torch.zeros(batch.prompts.shape[1], 3, device=tokens.device, dtype=tokens.dtype),
        img_ids=torch.cat([places(batch.targets, 0), places(batch.controls, 1)]),
        return_dict=False,
    )[0][:, : tokens.shape[1]]
    return torch.nn.functional.mse_loss(answer.float(), packed(noise - batch.targets).float())
