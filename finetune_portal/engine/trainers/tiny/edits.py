"""Draws pairs of pictures and the instruction that leads from one to the other.

The pictures are gradients, noise, stripes and shapes: enough for a small model to learn how to copy a
picture, and how to change it in a dozen simple ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from string import ascii_lowercase
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

# Width and height: about 112 x 112 in area, in multiples of 16.
SIZES = ((112, 112), (96, 128), (128, 96), (80, 144), (144, 80))
COLOURS = {
    "red": (205, 45, 45),
    "green": (50, 150, 70),
    "blue": (50, 80, 190),
    "yellow": (230, 200, 60),
    "orange": (230, 130, 40),
    "purple": (130, 60, 160),
    "black": (15, 15, 18),
    "grey": (125, 125, 125),
}
SHAPES = ("circle", "square", "triangle", "star")
WORDS = """
    the a picture please change image photo style make add put remove turn into with and of person
    head hair face dog cat house tree car sky water mountain street shirt glasses background
    foreground light shadow old new cartoon painting sketch night day winter summer happy sad bigger
    smaller left right top bottom hand eye on
""".split()  # noqa: SIM905  to be read

Rng = np.random.Generator


class Edit(NamedTuple):
    control: Image.Image
    target: Image.Image
    instruction: str


def draw(rng: Rng, size: tuple[int, int]) -> Edit:
    """One edit, chosen at random; two in five leave the picture as it is, whatever words are used."""
    edits = (_kept, _card, _recoloured, _added, _removed, _framed)
    shares = (0.42, 0.26, 0.12, 0.07, 0.07, 0.06)
    edit: Callable[[Rng, tuple[int, int]], Edit] = edits[rng.choice(6, p=shares)]
    return edit(rng, size)


def scene(rng: Rng, size: tuple[int, int]) -> Image.Image:
    """A background with some things in front of it."""
    picture = _texture(rng, size)
    for _ in range(rng.integers(2, 9)):
        thing, mask = _thing(rng, size, float(rng.uniform(0.08, 0.6)))
        place = (int(rng.integers(-30, size[0])), int(rng.integers(-30, size[1])))
        picture.paste(thing, place, mask)
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 2.5))))
    return picture


def _texture(rng: Rng, size: tuple[int, int]) -> Image.Image:
    """A gradient between two colours, with noise from coarse to fine, and sometimes stripes."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width] / max(size)
    ends = rng.uniform(0, 255, (2, 3))
    ends += (ends.mean(axis=1, keepdims=True) - ends) * rng.uniform(0, 1)  # from bright colours to greys
    angle = rng.uniform(0, 2 * math.pi)
    along = np.clip(0.5 + (x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle), 0, 1)[..., None]
    pixels = ends[0] * (1 - along) + ends[1] * along
    strength = rng.uniform(0, 70)
    for cells in (2, 4, 8, 16, 32, 64):
        pixels += _noise(rng, size, cells) * strength * rng.uniform(0.3, 1.0) / cells**0.6
    if rng.random() < 0.3:
        turned = x * math.cos(angle + 1) + y * math.sin(angle + 1)
        waves = np.sign(np.sin(turned * rng.uniform(15, 110)))[..., None]
        pixels += waves * rng.uniform(-60, 60, 3)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _noise(rng: Rng, size: tuple[int, int], cells: int) -> Any:
    grey = rng.normal(0, 1, (cells, cells, 1)) + 0.4 * rng.normal(0, 1, (cells, cells, 3))
    layers = [
        Image.fromarray(grey[..., i].astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
        for i in range(3)
    ]
    return np.stack([np.asarray(layer) for layer in layers], axis=-1)


def _outline(rng: Rng, shape: str) -> list[tuple[float, float]]:
    """Corners within -1 to 1."""
    if shape == "blob":
        radii = 0.75 + 0.25 * np.sin(
            np.arange(24) / 24 * 2 * math.pi * rng.integers(1, 5) + rng.uniform(0, 6)
        )
        flat = rng.uniform(0.4, 1.0)
        return [
            (r * math.cos(i / 12 * math.pi), flat * r * math.sin(i / 12 * math.pi))
            for i, r in enumerate(radii)
        ]
    corners = {"circle": 36, "square": 4, "triangle": 3, "star": 10}[shape]
    dents = [0.45 if shape == "star" and i % 2 else 1.0 for i in range(corners)]
    turn = math.pi / 4 if shape == "square" else -math.pi / 2
    return [
        (d * math.cos(turn + 2 * math.pi * i / corners), d * math.sin(turn + 2 * math.pi * i / corners))
        for i, d in enumerate(dents)
    ]


def _mask(corners: list[tuple[float, float]], side: int) -> Image.Image:
    large = Image.new("L", (side * 3, side * 3))
    at = [((x * 0.98 + 1) * side * 1.5, (y * 0.98 + 1) * side * 1.5) for x, y in corners]
    ImageDraw.Draw(large).polygon(at, fill=255)
    return large.resize((side, side), Image.Resampling.BOX)


def _thing(rng: Rng, size: tuple[int, int], part: float) -> tuple[Image.Image, Image.Image]:
    side = max(8, int(part * min(size)))
    shape = str(rng.choice([*SHAPES, "blob", "blob"]))
    return _texture(rng, (side, side)), _mask(_outline(rng, shape), side)


def _kept(rng: Rng, size: tuple[int, int]) -> Edit:
    """Words that ask for nothing that this model knows, made-up ones among them: the picture stays."""
    picture = _card(rng, size).control if rng.random() < 0.75 else scene(rng, size)
    words = [
        str(rng.choice(WORDS))
        if rng.random() < 0.7
        else "".join(rng.choice([*ascii_lowercase], rng.integers(2, 7)))
        for _ in range(rng.integers(2, 8))
    ]
    return Edit(picture, picture, " ".join(words))


def _card(rng: Rng, size: tuple[int, int]) -> Edit:
    """A thing stands on a white card, as if cut from a catalogue; the target has no card."""
    target = scene(rng, size)
    control = target.copy()
    side = int(rng.uniform(0.3, 0.75) * min(size))
    inner = int(side * rng.uniform(0.7, 0.95))
    thing, mask = (
        _texture(rng, (inner, inner)),
        _mask(_outline(rng, str(rng.choice([*SHAPES, "blob"]))), inner),
    )
    flat = rng.uniform(0.5, 1.0)
    card = Image.new("RGBA", (side, int(side * flat)), (255, 255, 255, 255))
    cut = Image.new("RGBA", card.size, (255, 255, 255, 0))
    small = (inner, int(inner * flat))
    at = ((side - small[0]) // 2, (card.height - small[1]) // 2)
    card.paste(thing.resize(small), at, mask.resize(small))
    cut.paste(thing.resize(small), at, mask.resize(small))
    alpha = Image.new("L", card.size)
    alpha.paste(mask.resize(small), at)
    cut.putalpha(alpha)
    angle = float(rng.uniform(-30, 30)) if rng.random() < 0.6 else 0.0
    place = (
        int(rng.integers(-side // 5, size[0] - side * 4 // 5)),
        int(rng.integers(-side // 5, size[1] - side // 2)),
    )
    for picture, piece in ((control, card), (target, cut)):
        turned = piece.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        picture.paste(turned, place, turned.getchannel("A"))
    says = (
        "cut it out of the white card",
        "cut out the object",
        "remove the white paper around it",
    )
    return Edit(control, target, str(rng.choice(says)))


def _recoloured(rng: Rng, size: tuple[int, int]) -> Edit:
    picture = scene(rng, size)
    colour = str(rng.choice([*COLOURS][:6]))
    grey = ImageOps.grayscale(picture)
    choices: tuple[tuple[str, Callable[[], Image.Image]], ...] = (
        ("make it black and white", lambda: grey.convert("RGB")),
        ("invert the colours", lambda: ImageOps.invert(picture)),
        ("make it darker", lambda: ImageEnhance.Brightness(picture).enhance(0.5)),
        ("make it brighter", lambda: Image.blend(picture, Image.new("RGB", size, "white"), 0.45)),
        (f"tint it {colour}", lambda: ImageOps.colorize(grey, "black", "white", mid=COLOURS[colour])),
    )
    says, change = choices[rng.integers(len(choices))]
    return Edit(picture, change(), says)


def _shape(rng: Rng, size: tuple[int, int]) -> tuple[str, str, Image.Image, tuple[int, int], Image.Image]:
    colour, shape = str(rng.choice([*COLOURS])), str(rng.choice(SHAPES))
    side = int(rng.uniform(0.3, 0.5) * min(size))
    middle = ((size[0] - side) // 2, (size[1] - side) // 2)
    return (
        colour,
        shape,
        Image.new("RGB", (side, side), COLOURS[colour]),
        middle,
        _mask(_outline(rng, shape), side),
    )


def _added(rng: Rng, size: tuple[int, int]) -> Edit:
    picture = scene(rng, size)
    colour, shape, thing, place, mask = _shape(rng, size)
    target = picture.copy()
    target.paste(thing, place, mask)
    return Edit(picture, target, f"draw a {colour} {shape} in the middle")


def _removed(rng: Rng, size: tuple[int, int]) -> Edit:
    added = _added(rng, size)
    return Edit(added.target, added.control, added.instruction.replace("draw a", "remove the"))


def _framed(rng: Rng, size: tuple[int, int]) -> Edit:
    picture = scene(rng, size)
    colour = str(rng.choice([*COLOURS]))
    inner = ImageOps.crop(picture, 8)
    return Edit(picture, ImageOps.expand(inner, 8, COLOURS[colour]), f"put a {colour} frame around it")
