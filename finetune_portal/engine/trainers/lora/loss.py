"""The loss of one step: flow matching, as FLUX.1-Kontext takes its inputs.

Latents are packed 2 x 2 into tokens. The tokens of the control image follow those of the target: they have
the same rows and columns, but a first id of 1. The guidance is an input of the transformer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from finetune_portal.engine.trainers.families.examples import Batch


def pack_latents(latents: Tensor) -> Tensor:
    """(count, channels, height, width) to (count, height * width / 4, channels * 4)."""
    count, channels, height, width = latents.shape
    squares = latents.reshape(count, channels, height // 2, 2, width // 2, 2)
    return squares.permute(0, 2, 4, 1, 3, 5).reshape(count, height * width // 4, channels * 4)


def latent_image_ids(latents: Tensor, first: int) -> Tensor:
    """The ids of the tokens, (tokens, 3): `first` (0 target, 1 control), row and column."""
    rows, columns = latents.shape[2] // 2, latents.shape[3] // 2
    ids = torch.zeros(rows, columns, 3, device=latents.device, dtype=latents.dtype)
    ids[..., 0] = first
    ids[..., 1] += torch.arange(rows, device=latents.device)[:, None]
    ids[..., 2] += torch.arange(columns, device=latents.device)[None, :]
    return ids.reshape(rows * columns, 3)


def flow_matching_loss(
    transformer: Any, batch: Batch, noise: Tensor, sigmas: Tensor, guidance: float
) -> Tensor:
    """Mean squared error of the predicted velocity, whose true value is `noise - target`.

    `sigmas`: one for each example, (count,); 0 is the image, 1 is noise.
    """
    noisy = torch.lerp(batch.targets, noise, sigmas.view(-1, 1, 1, 1).to(noise))
    tokens = pack_latents(noisy)
    prediction = transformer(
        hidden_states=torch.cat([tokens, pack_latents(batch.controls)], dim=1),
        timestep=sigmas.to(tokens),
        guidance=torch.full_like(sigmas, guidance) if transformer.config.guidance_embeds else None,
        pooled_projections=batch.pooled,
        encoder_hidden_states=batch.prompts,
        txt_ids=torch.zeros(batch.prompts.shape[1], 3, device=tokens.device, dtype=tokens.dtype),
        img_ids=torch.cat([latent_image_ids(batch.targets, 0), latent_image_ids(batch.controls, 1)]),
        return_dict=False,
    )[0][:, : tokens.shape[1]]
    velocity = pack_latents(noise - batch.targets)
    return torch.nn.functional.mse_loss(prediction.float(), velocity.float())
