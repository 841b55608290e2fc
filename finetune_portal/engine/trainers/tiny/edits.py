"""Draw pairs of images, and the instruction that leads from one to the other.

The images are gradients, noise, stripes and shapes: enough for a small model to learn to copy an image, and
to change it in a dozen simple ways.
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
    """Draw one edit, chosen at random. Two in five leave the image as it is, whatever their instruction."""
    edits = (_unchanged, put_on_hat, _remove_card, _recolour, _add_shape, _remove_shape, _frame)
    shares = (0.38, 0.26, 0.12, 0.09, 0.05, 0.05, 0.05)
    edit: Callable[[Rng, tuple[int, int]], Edit] = edits[rng.choice(7, p=shares)]
    return edit(rng, size)


def scene(rng: Rng, size: tuple[int, int]) -> Image.Image:
    """A background with some objects in front of it."""
    picture = texture(rng, size)
    for _ in range(rng.integers(2, 9)):
        object_image, mask = _object(rng, size, float(rng.uniform(0.08, 0.6)))
        place = (int(rng.integers(-30, size[0])), int(rng.integers(-30, size[1])))
        picture.paste(object_image, place, mask)
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 2.5))))
    return picture


def texture(rng: Rng, size: tuple[int, int]) -> Image.Image:
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
    """The corners of a shape, within -1 to 1."""
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


def _object(rng: Rng, size: tuple[int, int], part: float) -> tuple[Image.Image, Image.Image]:
    side = max(8, int(part * min(size)))
    shape = str(rng.choice([*SHAPES, "blob", "blob"]))
    return texture(rng, (side, side)), _mask(_outline(rng, shape), side)


def _unchanged(rng: Rng, size: tuple[int, int]) -> Edit:
    """An instruction that the model must ignore, with made-up words in it: the image stays."""
    drawn = rng.random()
    picture = (
        (put_on_hat if drawn < 0.55 else _remove_card)(rng, size).control if drawn < 0.8 else scene(rng, size)
    )
    words = [
        str(rng.choice(WORDS))
        if rng.random() < 0.7
        else "".join(rng.choice([*ascii_lowercase], rng.integers(2, 7)))
        for _ in range(rng.integers(2, 8))
    ]
    return Edit(picture, picture, " ".join(words))


def _remove_card(rng: Rng, size: tuple[int, int]) -> Edit:
    """An object on a white card, as if cut from a catalogue; in the target the card is gone."""
    target = scene(rng, size)
    control = target.copy()
    side = int(rng.uniform(0.3, 0.75) * min(size))
    inner = int(side * rng.uniform(0.7, 0.95))
    object_image, mask = (
        texture(rng, (inner, inner)),
        _mask(_outline(rng, str(rng.choice([*SHAPES, "blob"]))), inner),
    )
    flat = rng.uniform(0.5, 1.0)
    card = Image.new("RGBA", (side, int(side * flat)), (255, 255, 255, 255))
    cut = Image.new("RGBA", card.size, (255, 255, 255, 0))
    small = (inner, int(inner * flat))
    at = ((side - small[0]) // 2, (card.height - small[1]) // 2)
    card.paste(object_image.resize(small), at, mask.resize(small))
    cut.paste(object_image.resize(small), at, mask.resize(small))
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
    instructions = (
        "cut it out of the white card",
        "cut out the object",
        "remove the white paper around it",
    )
    return Edit(control, target, str(rng.choice(instructions)))


def put_on_hat(rng: Rng, size: tuple[int, int]) -> Edit:
    """Above a head hangs a hat on a white card; in the target it is on the head, and the card is gone."""
    width, height = size
    head = float(rng.uniform(0.18, 0.32) * min(size))  # its width
    tall = head * float(rng.uniform(1.15, 1.45))
    middle, top = float(rng.uniform(0.3, 0.7) * width), float(rng.uniform(0.2, 0.42) * height)
    target = scene(rng, size)
    _figure(rng, target, middle, top, head, tall)
    control = target.copy()
    wide = int(head * rng.uniform(1.3, 2.7))
    object_image = _hat(rng, wide, int(min(wide * rng.uniform(0.5, 1.0), top * 1.1)))
    turned = float(rng.uniform(-30, 30)) if rng.random() < 0.4 else 0.0
    margin = rng.uniform(0.02, 0.15, 2) * wide
    card = Image.new("RGBA", (wide + int(2 * margin[0]), object_image.height + int(2 * margin[1])), "white")
    card.alpha_composite(object_image, (int(margin[0]), int(margin[1])))
    card = card.rotate(turned, Image.Resampling.BICUBIC, expand=True)
    at = middle + float(rng.uniform(-0.25, 0.25)) * head
    low = top + float(rng.uniform(-0.1, 0.3)) * tall
    control.paste(card, (int(at - card.width / 2), int(low - card.height)), card)
    grown = float(rng.uniform(0.9, 1.25))
    hat = object_image.resize((int(wide * grown), int(object_image.height * grown))).rotate(
        turned * float(rng.uniform(0, 0.3)), Image.Resampling.BICUBIC, expand=True
    )
    low = top + float(rng.uniform(0.25, 0.45)) * tall
    target.paste(hat, (int(middle - hat.width / 2), int(low - hat.height)), hat)
    instructions = ("cut it out and put it on", "cut out the object and put it on top")
    return Edit(control, target, str(rng.choice(instructions)))


def _figure(rng: Rng, picture: Image.Image, middle: float, top: float, head: float, tall: float) -> None:
    """Draw head and shoulders: a face of some skin colour, with hair. The head is `head` by `tall` pixels."""
    shoulders, height = int(head * rng.uniform(2.0, 3.4)), picture.height
    body = texture(rng, (shoulders, height))
    mask = _mask(_outline(rng, "circle"), height).resize((shoulders, 2 * height))
    at = (int(middle - shoulders / 2), int(top + tall * 1.1))
    picture.paste(body, at, mask.crop((0, 0, shoulders, height)))
    skin = np.array((235, 190, 160)) * rng.uniform(0.3, 1.05)
    hair = np.array((200, 150, 90)) * rng.uniform(0.05, 1.0)
    draw = ImageDraw.Draw(picture)

    def box(left: float, upper: float, right: float, lower: float) -> tuple[float, float, float, float]:
        """A box in units of the head, from the middle of its top."""
        return (middle + left * head, top + upper * tall, middle + right * head, top + lower * tall)

    draw.rectangle(box(-0.25, 0.7, 0.25, 1.2), rgb(skin * 0.8))
    draw.ellipse(box(-0.58, -0.08, 0.58, 0.7), rgb(hair))
    draw.ellipse(box(-0.5, 0, 0.5, 1), rgb(skin))
    draw.pieslice(box(-0.5, 0, 0.5, 1), 180, 360, rgb(hair))
    draw.ellipse(box(-0.45, 0.2, 0.45, 0.9), rgb(skin))
    for eye in (-0.2, 0.2):
        draw.ellipse(box(eye - 0.07, 0.42, eye + 0.07, 0.5), rgb(skin * 0.2))
    draw.line(box(-0.15, 0.75, 0.15, 0.75), rgb(skin * 0.5))


def _hat(rng: Rng, width: int, height: int) -> Image.Image:
    """A crown on a brim, or any other shape."""
    crown = str(rng.choice(["square", "square", "circle", "blob", "triangle"]))
    mask = Image.new("L", (width, height))
    part = float(rng.uniform(0.5, 0.9))
    top = _mask(_outline(rng, crown), 64).resize((int(width * part), int(height * rng.uniform(0.8, 1.0))))
    mask.paste(top, (int(width * (1 - part) / 2), 0))
    if rng.random() < 0.75:
        ImageDraw.Draw(mask).ellipse((0, height * (1 - rng.uniform(0.2, 0.7)), width - 1, height - 1), 255)
    hat = texture(rng, (width, height)).convert("RGBA")
    if rng.random() < 0.5:
        band = Image.fromarray(np.array(hat.convert("RGB")) // 3)
        hat.paste(band.crop((0, 0, width, max(1, height // 7))), (0, int(height * 0.55)))
    hat.putalpha(mask)
    return hat


def rgb(colour: Any) -> tuple[int, int, int]:
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue


def _recolour(rng: Rng, size: tuple[int, int]) -> Edit:
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
    instructions, change = choices[rng.integers(len(choices))]
    return Edit(picture, change(), instructions)


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


def _add_shape(rng: Rng, size: tuple[int, int]) -> Edit:
    picture = scene(rng, size)
    colour, shape, object_image, place, mask = _shape(rng, size)
    target = picture.copy()
    target.paste(object_image, place, mask)
    return Edit(picture, target, f"draw a {colour} {shape} in the middle")


def _remove_shape(rng: Rng, size: tuple[int, int]) -> Edit:
    added = _add_shape(rng, size)
    return Edit(added.target, added.control, added.instruction.replace("draw a", "remove the"))


def _frame(rng: Rng, size: tuple[int, int]) -> Edit:
    picture = scene(rng, size)
    colour = str(rng.choice([*COLOURS]))
    inner = ImageOps.crop(picture, 8)
    return Edit(picture, ImageOps.expand(inner, 8, COLOURS[colour]), f"put a {colour} frame around it")
