"""The tiny autoencoder. Its encoder is worked out and not learnt: the principal components of 4 x 4 blocks.

The class is that of FLUX, with its norms and its SiLU; the weights are set so that what comes out is very
nearly a linear map of the picture. Blocks that would change something begin with zeros. The decoder begins as
an enlargement of the mean colours, and learns the rest.
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
LOUD = 50.0  # a constant, with its negative, that makes a norm's divisor nearly the same for every picture


def made(side: int) -> AutoencoderKL:
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
    """The encoder for good, the decoder to begin with. `pictures`: (count, 3, height, width), -1 to 1."""
    with torch.no_grad():
        for name, parameter in vae.named_parameters():
            if ".conv2." in name or name.startswith("encoder."):
                parameter.zero_()
        first, second = _components(pictures)
        encoder = vae.encoder
        _pass_on(encoder.conv_in, 3)
        for block, maps in zip(encoder.down_blocks, (first, second), strict=False):
            _by_squares(block.downsamplers[0].conv, maps)
        _pass_on(encoder.down_blocks[1].resnets[0].conv_shortcut, len(first))
        _doubled(encoder.down_blocks[2].resnets[0].conv_shortcut, torch.eye(LATENTS), LOUD)
        _undone(encoder.conv_norm_out, encoder.conv_out, LATENTS, LOUD)
        encoder.conv_out.bias[LATENTS:] = -30.0  # the logarithm of the spread: there is none
        _begin_decoder(vae, pictures)


def _components(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Maps from 2 x 2 squares of what is there to channels: 12 exact ones, then the best ones."""
    squares = _squares(_squares(pictures))
    best, spread = _best(squares, LATENTS)
    best = best / spread.sqrt()[:, None]  # half way to equal loudness: colours stay louder
    out = torch.einsum("oc,nchw->nohw", best, squares)
    return torch.eye(12), best / out.std()


def _squares(x: Tensor) -> Tensor:
    """Channels of each 2 x 2 square, in the order channel, row, column."""
    return torch.nn.functional.pixel_unshuffle(x, 2)


def _best(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The strongest components about zero, and the root of each one's mean square."""
    flat = x.transpose(0, 1).flatten(1)
    values, vectors = torch.linalg.eigh(flat @ flat.T / flat.shape[1])
    order = values.argsort(descending=True)[:count]
    return vectors[:, order].T.contiguous(), values[order].sqrt()


def _pass_on(conv: Any, width: int) -> None:
    """Channels as they are, by the middle of the kernel."""
    middle = conv.kernel_size[0] // 2
    conv.weight.zero_()
    for channel in range(width):
        conv.weight[channel, channel, middle, middle] = 1.0


def _by_squares(conv: Any, maps: Tensor) -> None:
    """A strided convolution of the 2 x 2 square at hand; diffusers pads it at the right and below."""
    conv.weight.zero_()
    conv.weight[: maps.shape[0], : maps.shape[1] // 4, :2, :2] = maps.view(maps.shape[0], -1, 2, 2)


def _doubled(conv: Any, maps: Tensor, loud: float) -> None:
    """Each channel with its negative, so that SiLU can be undone and a group's mean is 0; two constants."""
    conv.weight.zero_()
    conv.bias.zero_()
    middle = conv.kernel_size[0] // 2
    for number, row in enumerate(maps):
        at = _place(number, conv.out_channels)
        conv.weight[at, : len(row), middle, middle] = row
        conv.weight[at + 1, : len(row), middle, middle] = -row
    for group in range(GROUPS):
        end = (group + 1) * conv.out_channels // GROUPS
        conv.bias[end - 2], conv.bias[end - 1] = loud, -loud


def _place(number: int, width: int) -> int:
    """Where a channel and its negative stand: the groups are filled in turn."""
    return (number % GROUPS) * (width // GROUPS) + 2 * (number // GROUPS)


def _undone(norm: Any, conv: Any, count: int, loud: float) -> None:
    """After the norm and SiLU: silu(x) - silu(-x) is x again."""
    norm.weight.fill_(loud * (2 / (norm.num_channels // GROUPS)) ** 0.5)
    norm.bias.zero_()
    conv.weight.zero_()
    conv.bias.zero_()
    for number in range(count):
        at = _place(number, norm.num_channels)
        conv.weight[number, at, 1, 1], conv.weight[number, at + 1, 1, 1] = 1.0, -1.0


def _begin_decoder(vae: AutoencoderKL, pictures: Tensor) -> None:
    """Mean colours of the 4 x 4 blocks, carried to full size and smoothed on the way."""
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
            _keep_three(shortcut, torch.ones(1, 1))
        if block.upsamplers:
            conv = block.upsamplers[0].conv
            conv.weight[:3] = 0
            conv.bias[:3] = 0
            _keep_three(conv, tent[:, None] * tent[None, :])
    last = decoder.up_blocks[-1].resnets[0].conv_shortcut
    free = last.weight[12:].clone()
    _doubled(last, torch.eye(3), LOUD / 10)
    last.weight[12:], last.bias[12:] = free, 0.0
    _undone(decoder.conv_norm_out, decoder.conv_out, 3, LOUD / 10)


def _keep_three(conv: Any, kernel: Tensor) -> None:
    for channel in range(3):
        conv.weight[channel, channel] = kernel
