"""Draw the sample dataset: `python -m tests.draw_sample` writes it to its place in the portal."""

from __future__ import annotations

import io
import math
import zipfile

from PIL import Image, ImageDraw

from finetune_portal.datasets.sample import CAPTION, PATH

EDGE = 512
DAY = {
    "sky": "#a9d6ee",
    "hill": "#7fae6b",
    "wall": "#e8d8bd",
    "roof": "#b5573f",
    "window": "#5b7a8c",
}
NIGHT = {
    "sky": "#1b2440",
    "hill": "#24402f",
    "wall": "#4a4657",
    "roof": "#3a2733",
    "window": "#ffd873",
}


def draw() -> bytes:
    """A ZIP in the provider's layout: 01_start.png, 01_end.png, 01.txt and so on. Always the same pixels."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(1, 7):
            _add(archive, f"{number:02}_start.png", _scene(number, DAY, night=False))
            _add(archive, f"{number:02}_end.png", _scene(number, NIGHT, night=True))
            _add(archive, f"{number:02}.txt", CAPTION.encode())
    return packed.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)


def _scene(number: int, colours: dict[str, str], *, night: bool) -> bytes:
    image = Image.new("RGB", (EDGE, EDGE), colours["sky"])
    draw = ImageDraw.Draw(image)
    _light(draw, number, night=night)
    hill = [(x, 330 + 40 * math.sin(x / 70 + number)) for x in range(0, EDGE + 8, 8)]
    draw.polygon([*hill, (EDGE, EDGE), (0, EDGE)], fill=colours["hill"])
    left, top = 90 + 40 * (number % 4), 250 - 12 * (number % 3)
    width, height = 150 + 14 * number, 150
    draw.rectangle((left, top, left + width, top + height), fill=colours["wall"])
    peak = (left + width / 2, top - 80)
    draw.polygon([(left - 18, top), peak, (left + width + 18, top)], fill=colours["roof"])
    for column in range(2 + number % 2):
        x = left + 26 + column * 58
        draw.rectangle((x, top + 40, x + 32, top + 84), fill=colours["window"])
    packed = io.BytesIO()
    image.save(packed, "PNG", optimize=True)
    return packed.getvalue()


def _light(draw: ImageDraw.ImageDraw, number: int, *, night: bool) -> None:
    x, y = 360 + 14 * number, 84
    if night:
        draw.ellipse((x - 34, y - 34, x + 34, y + 34), fill="#f3ecc8")
        draw.ellipse((x - 18, y - 42, x + 46, y + 22), fill=NIGHT["sky"])
        for star in range(18):
            sx, sy = (star * 97 + number * 53) % EDGE, (star * 61 + number * 29) % 200
            draw.ellipse((sx, sy, sx + 3, sy + 3), fill="#f8f4dd")
    else:
        draw.ellipse((x - 38, y - 38, x + 38, y + 38), fill="#ffdd66")


if __name__ == "__main__":
    PATH.write_bytes(draw())
