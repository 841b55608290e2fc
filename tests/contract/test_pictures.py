"""The portal's check and the engine see the same pixels in pictures that decoders read in different ways."""

from __future__ import annotations

from io import BytesIO

import pytest

from finetune_portal.datasets.checker.images import inspect_image
from finetune_portal.datasets.checker.pixels import open_picture, plain
from finetune_portal.engine import images
from tests.pictures import GREY, RGB, png

SIZE = (260, 257)
WHITE = (255, 255, 255)
# The bits of a channel, the colour type, a pixel, and what it shows where another one is transparent.
SHADES = {
    "1 bit": (1, GREY, [0], (0, 0, 0)),
    "2 bits": (2, GREY, [1], (85, 85, 85)),
    "4 bits": (4, GREY, [3], (51, 51, 51)),
    "8 bits": (8, GREY, [3], (3, 3, 3)),
    "16 bits": (16, GREY, [3 * 257], (3, 3, 3)),
    "colours": (8, RGB, [3, 4, 5], (3, 4, 5)),
    "colours of 16 bits": (16, RGB, [3 * 257, 4 * 257, 5 * 257], (3, 4, 5)),
}


@pytest.mark.parametrize("name", SHADES)
def test_a_transparent_shade_is_white(name: str) -> None:
    depth, colour, pixel, shown = SHADES[name]
    other = [0 if value else 1 for value in pixel]
    for transparent, seen in ((pixel, WHITE), (other, shown)):
        content = png(depth, colour, SIZE, pixel, transparent)
        with open_picture(BytesIO(content)) as image:
            assert plain(image).getpixel((9, 9)) == seen
        assert images.decode(content).getpixel((9, 9)) == seen
        assert ("transparent" in inspect_image(BytesIO(content)).notes) == (seen == WHITE)
