"""Draw edits as people ask for them of photographs: a larger head, night instead of day, a hat.

The instructions of the edits have unusual words, so that the model ignores what people commonly write: only
a LoRA brings an edit and its words together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from finetune_portal.engine.trainers.tiny import edits
from finetune_portal.engine.trainers.tiny.edits import Edit, Rng, rgb, texture

# Width and height. Small images cost half, and the model knows larger ones from its first part.
SIZES = ((64, 96), (96, 64), (80, 80), (72, 104), (88, 136))
LARGER_SIZES = ((88, 136), (136, 88), (72, 104), (104, 72), (80, 80))  # as many wide ones as tall ones
FINE = 4  # pixels of a drawn head for one of the image
ORDINARY = (
    "",
    "hello",
    "a photo of a {noun}",
    "a {noun} and a {noun}",
    "add a {noun}",
    "add a {noun} on the {noun}",
    "put the {noun} on",
    "put the {noun} on the {noun}",
    "blend the {noun} on the {noun}",
    "make the {noun} {how}",
    "make the person {noun} {how}",
    "make it {how}",
    "change the {noun}",
    "remove the {noun}",
    "turn {noun} into {noun}",
    "turn the {noun} into a {noun}, with a {noun}",
    "please keep the {noun}",
    "{noun}",
)
NOUNS = """
    hat head person cat dog face hair eye shirt house tree car sky water mountain street glasses
    background light shadow cartoon painting sketch night day winter summer moon window man woman
""".split()  # noqa: SIM905  to be read
HOW = "bigger big smaller larger old new happy sad left right red blue better nice".split()  # noqa: SIM905


def draw(rng: Rng, size: tuple[int, int]) -> Edit:
    """Draw one edit, chosen at random, or none: then the instruction is one to be ignored."""
    choices = (_unchanged, enlarge_head, edits.put_on_hat, turn_to_night, edits.draw)
    edit: Callable[[Rng, tuple[int, int]], Edit] = choices[rng.choice(5, p=(0.26, 0.42, 0.15, 0.12, 0.05))]
    return edit(rng, size)


def _unchanged(rng: Rng, size: tuple[int, int]) -> Edit:
    drawn = (enlarge_head, edits.put_on_hat, turn_to_night)[rng.integers(3)](rng, size)
    return Edit(drawn.control, drawn.control, _ordinary(rng))


def _ordinary(rng: Rng) -> str:
    """An instruction as people write them."""
    words = {"noun": NOUNS, "how": HOW}
    text = str(rng.choice(ORDINARY))
    for kind, choices in words.items():
        while "{" + kind + "}" in text:
            text = text.replace("{" + kind + "}", str(rng.choice(choices)), 1)
    return text.capitalize() if rng.random() < 0.3 else text


def draw_grained(
    rng: Rng,
    size: tuple[int, int],
    *,
    tops: tuple[float, float] = (0.08, 0.42),
    kept: tuple[float, float] = (0.2, 0.4),
) -> Edit:
    """Draw one edit for the last parts: mostly a larger head with the grain of a photograph.

    The head grows by about as much each time, around the chin: the image says what its target looks like.
    `tops`: see enlarge_head. `kept`: the share of images to be kept as they are, of heads and of the others.
    """
    kind = rng.random()
    if kind < 0.84:
        edit = enlarge_head(
            rng,
            size,
            widths=(0.16, 0.36),
            tops=tops,
            grown_by=(1.4, 1.65),
            fixed_at=(0.75, 1.05),
            is_grained=True,
        )
    elif kind < 0.93:
        edit = edits.put_on_hat(rng, size)._replace(instruction="collage")
    else:
        edit = turn_to_night(rng, size)
    is_kept = rng.random() < (kept[0] if kind < 0.84 else kept[1])
    return Edit(edit.control, edit.control, _ordinary(rng)) if is_kept else edit


def draw_leaving_heads(rng: Rng, size: tuple[int, int]) -> Edit:
    """The same, with heads that are nearer to the top and leave the image there, and fewer kept images."""
    return draw_grained(rng, size, tops=(0.02, 0.36), kept=(0.1, 0.25))


def enlarge_head(
    rng: Rng,
    size: tuple[int, int],
    *,
    widths: tuple[float, float] = (0.2, 0.42),
    tops: tuple[float, float] = (0.08, 0.42),
    grown_by: tuple[float, float] = (1.4, 2.0),
    fixed_at: tuple[float, float] = (0.3, 0.9),
    is_grained: bool = False,
) -> Edit:
    """A person; in the target the head is larger, in about the same place.

    `widths`: of the head, in parts of the shorter side. `tops`: its place, in parts of the image's height.
    `fixed_at`: what keeps its place, in parts of the head's height from its top. `is_grained`: whether the
    head has a texture.
    """
    width, height = size
    head = float(rng.uniform(*widths) * min(size))
    tall = head * float(rng.uniform(1.2, 1.55))
    middle, top = float(rng.uniform(0.25, 0.75) * width), float(rng.uniform(*tops) * height)
    control = _background(rng, size)
    _body(rng, control, middle, top + tall, head)
    target = control.copy()
    sprite = _head(rng, head * FINE, tall * FINE)
    if is_grained:
        grain = ImageChops.multiply(sprite.convert("RGB"), texture(rng, sprite.size))
        grain.putalpha(sprite.getchannel("A"))
        sprite = Image.blend(sprite, grain, float(rng.uniform(0, 0.8)))
    grown = float(rng.uniform(*grown_by))
    fixed = top + tall * float(rng.uniform(*fixed_at))
    for picture, scale in ((control, 1.0), (target, grown)):
        piece = sprite.resize(
            [max(1, round(side * scale / FINE)) for side in sprite.size], Image.Resampling.LANCZOS
        )
        # The sprite has its head in the middle, from a quarter of its height on.
        above = (fixed - top + tall / 2) * scale
        picture.paste(piece, (round(middle - piece.width / 2), round(fixed - above)), piece)
    light = _light(rng, size)
    softness = float(rng.uniform(0.3, 0.9)) if rng.random() < 0.5 else 0.0
    control, target = (
        ImageChops.multiply(each, light).filter(ImageFilter.GaussianBlur(softness))
        for each in (control, target)
    )
    return Edit(control, target, str(rng.choice(("turn into a caricature", "caricature"))))


def _background(rng: Rng, size: tuple[int, int]) -> Image.Image:
    """Out of focus, plain, or full of things."""
    kind = rng.random()
    if kind < 0.3:
        return texture(rng, size)
    scene = edits.scene(rng, size)
    return scene.filter(ImageFilter.GaussianBlur(float(rng.uniform(2, 8)))) if kind < 0.7 else scene


def _light(rng: Rng, size: tuple[int, int]) -> Image.Image:
    """A soft gradient of brightness over the whole image."""
    ends = rng.uniform(190, 255, (2, 2)).astype(np.uint8)
    return Image.fromarray(ends).resize(size, Image.Resampling.BICUBIC).convert("RGB")


def _body(rng: Rng, picture: Image.Image, middle: float, chin: float, head: float) -> None:
    """Neck and shoulders, in some fabric."""
    shoulders, tall = int(head * rng.uniform(2.0, 3.6)), int(picture.height * rng.uniform(0.8, 1.3))
    fabric = texture(rng, (shoulders, tall))
    mask = Image.new("L", (shoulders, tall))
    pen = ImageDraw.Draw(mask)
    pen.rounded_rectangle(
        (0, 0, shoulders - 1, tall * 2), radius=shoulders * float(rng.uniform(0.15, 0.5)), fill=255
    )
    picture.paste(fabric, (int(middle - shoulders / 2), int(chin + head * rng.uniform(0.05, 0.35))), mask)


def _head(rng: Rng, head: float, tall: float) -> Image.Image:
    """A head with hair on a clear image that is twice as wide and twice as tall."""
    wide, high = head * 2.4, tall * 2
    sprite = Image.new("RGBA", (int(wide), int(high)))
    pen = ImageDraw.Draw(sprite)
    skin = np.array((238, 192, 165)) * rng.uniform(0.3, 1.07)
    hair = np.array((200, 150, 100)) * rng.uniform(0.05, 1.1) + rng.uniform(-12, 12, 3)

    def box(left: float, upper: float, right: float, lower: float) -> tuple[float, float, float, float]:
        """A box in units of the head, from the middle of its top."""
        return (wide / 2 + left * head, (upper + 0.5) * tall, wide / 2 + right * head, (lower + 0.5) * tall)

    volume, length = float(rng.uniform(0.52, 0.85)), float(rng.choice([0.55, 0.75, 1.1, 1.4]))
    pen.rounded_rectangle(box(-volume, -volume * 0.35, volume, length), volume * head * 0.8, rgb(hair))
    pen.rectangle(box(-0.24, 0.7, 0.24, 1.3), rgb(skin * 0.82))
    pen.ellipse(box(-0.5, -0.02, 0.5, 1.0), rgb(skin))
    fringe = float(rng.uniform(0.05, 0.35))
    pen.chord(box(-0.52, -0.08, 0.52, 0.9), 180 + 90 * (0.5 - fringe), 360 - 90 * (0.5 - fringe), rgb(hair))
    turned = float(rng.uniform(-0.12, 0.12))
    for eye in (-0.2, 0.2):
        at = eye + turned
        pen.line(box(at - 0.1, 0.36, at + 0.1, 0.36), rgb(hair * 0.6), int(head * 0.04))
        pen.ellipse(box(at - 0.07, 0.41, at + 0.07, 0.49), rgb(skin * 0.2))
    pen.line(box(turned, 0.48, turned * 1.5, 0.64), rgb(skin * 0.75), int(head * 0.06))
    mouth = rgb(skin * (0.75, 0.45, 0.45)) if rng.random() < 0.6 else (245, 240, 235)
    pen.ellipse(box(turned - 0.16, 0.73, turned + 0.16, 0.81), mouth)
    if rng.random() < 0.25:
        beard = rgb(hair * 0.8)
        pen.chord(box(-0.48, 0.1, 0.48, 1.02), 25, 155, beard)
        pen.ellipse(box(turned - 0.14, 0.76, turned + 0.14, 0.82), mouth)
    if rng.random() < 0.4:  # a shadow on one side
        shadow = Image.new("RGBA", sprite.size, (0, 0, 0, int(rng.uniform(30, 110))))
        side = Image.new("L", sprite.size)
        left = 0 if rng.random() < 0.5 else sprite.width // 2
        side.paste(255, (left, 0, left + sprite.width // 2, sprite.height))
        side = side.filter(ImageFilter.GaussianBlur(head * 0.2))
        shaded = Image.alpha_composite(sprite, shadow)
        shaded.putalpha(sprite.getchannel("A"))
        sprite = Image.composite(shaded, sprite, side)
    return sprite.rotate(float(rng.normal(0, 8)), Image.Resampling.BICUBIC)


def turn_to_night(rng: Rng, size: tuple[int, int]) -> Edit:
    """A house under a sun, or any scene; in the target it is dark, and the windows are lit."""
    if rng.random() < 0.4:
        control = edits.scene(rng, size)
        target = _darkened(rng, control)
    else:
        control, target = _house(rng, size)
    return Edit(control, target, str(rng.choice(("repaint it after dark", "after dark"))))


def _darkened(rng: Rng, picture: Image.Image) -> Image.Image:
    tint = np.array((0.25, 0.3, 0.5)) * rng.uniform(0.5, 1.3) + rng.uniform(-0.08, 0.08, 3)
    pixels = np.asarray(picture, dtype=float)
    grey = pixels.mean(axis=2, keepdims=True)
    return Image.fromarray(np.clip((pixels * 0.5 + grey * 0.5) * tint, 0, 255).astype(np.uint8))


def _house(rng: Rng, size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    width, height = size
    day = {name: rng.uniform(70, 255, 3) for name in ("sky", "hill", "wall", "roof")}
    day["sky"] = np.array((170, 210, 240)) + rng.uniform(-40, 15, 3)
    night = {name: colour * (0.25, 0.3, 0.42) * rng.uniform(0.5, 1.2) for name, colour in day.items()}
    day |= {"window": rng.uniform(40, 160, 3), "light": np.array((255, 221, 102))}
    night |= {"window": np.array((255, 216, 115)), "light": np.array((243, 236, 200))}
    left, top = float(rng.uniform(0.05, 0.5)), float(rng.uniform(0.4, 0.65))
    wide, tall = rng.uniform(0.2, 0.5), rng.uniform(0.2, 0.35)
    light: Any = rng.uniform((0.1, 0.08), (0.9, 0.3))
    radius = float(rng.uniform(0.05, 0.1))
    waves, level = float(rng.uniform(3, 9)), float(rng.uniform(0.5, 0.75))
    windows, stars = int(rng.integers(1, 4)), rng.uniform((0, 0), (1, 0.45), (15, 2))
    pictures = []
    for colours in (day, night):
        large = Image.new("RGB", (width * 3, height * 3), rgb(colours["sky"]))
        pen, unit = ImageDraw.Draw(large), min(size) * 3

        def place(x: float, y: float) -> tuple[float, float]:
            return x * width * 3, y * height * 3

        if colours is night:
            for x, y in stars:
                at = place(x, y)
                pen.ellipse((*at, at[0] + 2, at[1] + 2), "white")
        at = place(*light)
        pen.ellipse([side + sign * radius * unit for sign in (-1, 1) for side in at], rgb(colours["light"]))
        hill = [place(i / 30, level + 0.08 * math.sin(i / 30 * waves)) for i in range(31)]
        pen.polygon([*hill, place(1, 1), place(0, 1)], rgb(colours["hill"]))
        pen.rectangle((*place(left, top), *place(left + wide, top + tall)), rgb(colours["wall"]))
        roof = [place(left - 0.04, top), place(left + wide / 2, top - 0.16), place(left + wide + 0.04, top)]
        pen.polygon(roof, rgb(colours["roof"]))
        for number in range(windows):
            x = left + wide * (number + 0.25) / windows
            corner = (*place(x, top + tall * 0.25), *place(x + wide * 0.45 / windows, top + tall * 0.6))
            pen.rectangle(corner, rgb(colours["window"]))
        pictures.append(large.resize(size, Image.Resampling.BOX))
    return pictures[0], pictures[1]
