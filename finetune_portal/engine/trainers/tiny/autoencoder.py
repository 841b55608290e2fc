"""The tiny autoencoder. Its encoder is computed, not trained: the principal components of 4 x 4 blocks.

The class is that of FLUX, with its norms and its SiLU. The weights are set so that the latents are very
nearly a linear map of the image: residual blocks begin with zeros. The decoder begins as an enlargement of
the mean colours, and training does the rest.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

BLOCK = 4  # pixels to the side of a latent
LATENTS = 12  # of the 48 numbers of a block
WIDTHS = (16, 32, 64)  # half the size from each to the next
GROUPS = 4
LARGE_CONSTANT = 50.0  # with its negative, it makes a norm's divisor nearly the same for every image


def build_autoencoder(side: int) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        latent_channels=LATENTS,
        norm_num_groups=GROUPS,
        sample_size=side,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        shift_factor=0.0,
        scaling_factor=1.0,
    )


def set_weights(vae: AutoencoderKL, pictures: Tensor) -> None:
    """Set the encoder's final weights and the decoder's first ones.

    `pictures`: (count, 3, height, width), from -1 to 1.
    """
    with torch.no_grad():
        for name, parameter in vae.named_parameters():
            if ".conv2." in name or name.startswith("encoder."):
                parameter.zero_()
        first, second = _principal_components(pictures)
        encoder = vae.encoder
        _copy_channels(encoder.conv_in, 3)
        for block, maps in zip(encoder.down_blocks, (first, second), strict=False):
            _set_patch_conv(block.downsamplers[0].conv, maps)
        _copy_channels(encoder.down_blocks[1].resnets[0].conv_shortcut, len(first))
        _set_sign_pairs(encoder.down_blocks[2].resnets[0].conv_shortcut, torch.eye(LATENTS), LARGE_CONSTANT)
        _undo_norm(encoder.conv_norm_out, encoder.conv_out, LATENTS, LARGE_CONSTANT)
        encoder.conv_out.bias[LATENTS:] = -30.0  # the logarithm of the variance: there is none
        _init_decoder(vae, pictures)


def _principal_components(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Two maps from 2 x 2 squares to channels: first all 12, then the strongest components."""
    squares = _squares(_squares(pictures))
    best, spread = _strongest_components(squares, LATENTS)
    best = best / spread.sqrt()[:, None]  # half way to equal variance: colours stay stronger
    out = torch.einsum("oc,nchw->nohw", best, squares)
    return torch.eye(12), best / out.std()


def _squares(x: Tensor) -> Tensor:
    """Stack the channels of each 2 x 2 square, in the order channel, row, column."""
    return torch.nn.functional.pixel_unshuffle(x, 2)


def _strongest_components(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The strongest components about zero, and the root mean square of each."""
    flat = x.transpose(0, 1).flatten(1)
    values, vectors = torch.linalg.eigh(flat @ flat.T / flat.shape[1])
    order = values.argsort(descending=True)[:count]
    return vectors[:, order].T.contiguous(), values[order].sqrt()


def _copy_channels(conv: Any, width: int) -> None:
    """Copy channels by the middle of the kernel."""
    middle = conv.kernel_size[0] // 2
    conv.weight.zero_()
    for channel in range(width):
        conv.weight[channel, channel, middle, middle] = 1.0


def _set_patch_conv(conv: Any, maps: Tensor) -> None:
    """A strided convolution over 2 x 2 squares; diffusers pads at the right and below."""
    conv.weight.zero_()
    conv.weight[: maps.shape[0], : maps.shape[1] // 4, :2, :2] = maps.view(maps.shape[0], -1, 2, 2)


def _set_sign_pairs(conv: Any, maps: Tensor, constant: float) -> None:
    """Map to channels and their negatives: SiLU can be undone, and a group's mean is 0. Add two constants."""
    conv.weight.zero_()
    conv.bias.zero_()
    middle = conv.kernel_size[0] // 2
    for number, row in enumerate(maps):
        at = _place(number, conv.out_channels)
        conv.weight[at, : len(row), middle, middle] = row
        conv.weight[at + 1, : len(row), middle, middle] = -row
    for group in range(GROUPS):
        end = (group + 1) * conv.out_channels // GROUPS
        conv.bias[end - 2], conv.bias[end - 1] = constant, -constant


def _place(number: int, width: int) -> int:
    """The index of a channel, with its negative after it: the groups are filled in turn."""
    return (number % GROUPS) * (width // GROUPS) + 2 * (number // GROUPS)


def _undo_norm(norm: Any, conv: Any, count: int, constant: float) -> None:
    """Undo the norm and SiLU: silu(x) - silu(-x) is x."""
    norm.weight.fill_(constant * (2 / (norm.num_channels // GROUPS)) ** 0.5)
    norm.bias.zero_()
    conv.weight.zero_()
    conv.bias.zero_()
    for number in range(count):
        at = _place(number, norm.num_channels)
        conv.weight[number, at, 1, 1], conv.weight[number, at + 1, 1, 1] = 1.0, -1.0


def _init_decoder(vae: AutoencoderKL, pictures: Tensor) -> None:
    """Make the decoder enlarge the mean colours of the 4 x 4 blocks, smoothed on the way."""
    latents = vae.encode(pictures).latent_dist.mode()
    colours = torch.nn.functional.avg_pool2d(pictures, BLOCK)
    flat = [each.transpose(0, 1).flatten(1) for each in (latents, colours)]
    reading = torch.linalg.lstsq(flat[0].T, flat[1].T).solution.T
    decoder = vae.decoder
    decoder.conv_in.weight[:3] = 0
    decoder.conv_in.weight[:3, :, 1, 1] = reading
    decoder.conv_in.bias[:3] = 0
    tent = torch.tensor([0.25, 0.5, 0.25])
    for block in decoder.up_blocks:
        shortcut = block.resnets[0].conv_shortcut
        if shortcut is not None:
            shortcut.weight[:3] = 0
            shortcut.bias[:3] = 0
            _set_three_channels(shortcut, torch.ones(1, 1))
        if block.upsamplers:
            conv = block.upsamplers[0].conv
            conv.weight[:3] = 0
            conv.bias[:3] = 0
            _set_three_channels(conv, tent[:, None] * tent[None, :])
    last = decoder.up_blocks[-1].resnets[0].conv_shortcut
    free = last.weight[12:].clone()
    _set_sign_pairs(last, torch.eye(3), LARGE_CONSTANT / 10)
    last.weight[12:], last.bias[12:] = free, 0.0
    _undo_norm(decoder.conv_norm_out, decoder.conv_out, 3, LARGE_CONSTANT / 10)


def _set_three_channels(conv: Any, kernel: Tensor) -> None:
    for channel in range(3):
        conv.weight[channel, channel] = kernel
