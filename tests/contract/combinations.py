"""Datasets by ending, layout, encoding, colour and depth; a few of them cover every pair of choices."""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from typing import Any

from PIL import Image

from tests.datasets.corpus.zip_builder import UTF8, Entry, build
from tests.pictures import GREY, GREY_ALPHA, RGB, RGBA, encoded, png16, profile, turned

SIZE = (288, 272)
WORD = "größe"
PAIRS = 5
TOLERANCE = 4  # steps of 255 by which a colour may differ: JPEG, and the rounding of profiles
SHADES = range(40, 40 + 20 * PAIRS, 20)  # one a pair

AXES = {
    "ending": ("png", "JPEG", "jfif", "webp", "webp as jpg", "mixed"),
    "layout": ("flat", "words", "nested", "two folders", "jsonl", "csv"),
    "encoding": ("mark", "mac halves", "shift_jis", "gbk", "cp1252", "utf-16"),
    "colour": ("rgb", "grey", "palette", "cmyk", "profile", "transparent", "turned"),
    "depth": ("8", "16"),
}
CODE_PAGES = {"shift_jis": "ソ表", "gbk": "蓝色的猫", "cp1252": WORD}
Shown = tuple[int, int, int]


@dataclass(frozen=True)
class Combination:
    ending: str
    layout: str
    encoding: str
    colour: str
    depth: str

    def __str__(self) -> str:
        return ", ".join(vars(self).values())

    @property
    def choices(self) -> frozenset[tuple[str, str]]:
        return frozenset(vars(self).items())

    @property
    def is_possible(self) -> bool:
        """Whether there is such a file: only PNG has 16 bits, and not in a palette; only JPEG has CMYK."""
        if self.depth == "16":
            return self.ending == "png" and self.colour not in ("palette", "cmyk")
        if self.colour == "cmyk":
            return self.ending in ("JPEG", "jfif")
        return self.ending == "png" or self.colour not in ("palette", "transparent") or "webp" in self.ending


def every() -> Iterator[Combination]:
    return (each for values in product(*AXES.values()) if (each := Combination(*values)).is_possible)


@cache
def covering(count: int) -> tuple[list[Combination], int]:
    """`count` combinations, and how many of the first ones have each possible pair of choices."""
    left = list(every())
    pairs = {each: frozenset(map(frozenset, combinations(sorted(each.choices), 2))) for each in left}
    whole = frozenset().union(*pairs.values())
    chosen: list[Combination] = []
    missing, share = set(whole), 0
    while len(chosen) < count:
        best = max(left, key=lambda each: len(pairs[each] & missing))
        left.remove(best)
        chosen.append(best)
        missing -= pairs[best]
        if not missing:
            missing, share = set(whole), share or len(chosen)
    return chosen, share


def few() -> list[Combination]:
    """Few of the 60 that together have every choice."""
    every = covering(60)[0]
    missing = set().union(*(each.choices for each in every))
    chosen = []
    while missing:
        best = max(every, key=lambda each: len(each.choices & missing))
        chosen.append(best)
        missing -= best.choices
    return chosen


def dataset(of: Combination) -> tuple[bytes, list[tuple[str, Shown]]]:
    """The ZIP, and what each pair shows: its caption and the colour of its target image."""
    entries, shown, rows = [], [], []
    for number, shade in enumerate(SHADES, 1):
        caption = f"{WORD} {number}"
        names = _names(of, number)
        for half, name in zip(("start", "end"), names, strict=True):
            kind, suffix = _kind(of, half)
            content, colour = _picture(of, kind, shade if half == "end" else 20)
            entries.append(_entry(of, f"{name}.{suffix}", content, half))
            rows.append((f"{name}.{suffix}", caption))
        shown.append((caption, colour))
        if of.layout not in TABLES:
            entries.append(
                _entry(of, f"{_caption_stem(of, names[1], number)}.txt", _text(of, caption), "text")
            )
    if of.layout in TABLES:
        entries.append(Entry(f"metadata.{of.layout}", TABLES[of.layout](rows)))
    return build(entries), shown


def _names(of: Combination, number: int) -> tuple[str, str]:
    stem = f"{CODE_PAGES.get(of.encoding, WORD)}{number}"
    match of.layout:
        case "flat":
            return f"{stem}_start", f"{stem}_end"
        case "words":
            return f"{stem}_before", f"{stem}_after"
        case "nested":
            return f"a/{number % 2}/{stem}_start", f"a/{number % 2}/{stem}_end"
    return f"control/{stem}", f"target/{stem}"


def _caption_stem(of: Combination, end: str, number: int) -> str:
    return end if of.layout == "two folders" else end.removesuffix("_end").removesuffix("_after")


def _kind(of: Combination, half: str) -> tuple[str, str]:
    """The format of a picture and the suffix of its file."""
    match of.ending:
        case "mixed":
            return ("JPEG", "jpg") if half == "start" else ("PNG", "png")
        case "webp as jpg":
            return "WEBP", "jpg"
        case "webp":
            return "WEBP", "webp"
        case "png":
            return "PNG", "png"
    return "JPEG", of.ending


def _picture(of: Combination, kind: str, shade: int) -> tuple[bytes, Shown]:
    """A picture and the colour that it shows."""
    if of.depth == "16":
        return _deep(of, shade)
    colour = shown = (shade, 100, 60)
    image = Image.new("RGB", SIZE, colour)
    by_kind: dict[str, dict[str, Any]] = {"JPEG": {"quality": 98}, "WEBP": {"lossless": True}}
    options = by_kind.get(kind, {})
    match of.colour:
        case "grey":
            image, shown = Image.new("L", SIZE, shade), (shade, shade, shade)
        case "palette":
            image = image.quantize(2)
        case "cmyk":
            image = image.convert("CMYK")
        case "profile":
            options, shown = {**options, "icc_profile": profile()}, _by_profile(colour)
        case "transparent":
            image = Image.new("RGBA", SIZE, (*colour, 51))
            shown = (round(204 + shade / 5), 224, 216)
        case "turned":
            return turned(image, kind), colour
    return encoded(image, kind, **options), shown


def _deep(of: Combination, shade: int) -> tuple[bytes, Shown]:
    pixel = [shade * 257, 100 * 257, 60 * 257]
    match of.colour:
        case "grey":
            return png16(GREY, SIZE, pixel[:1]), (shade,) * 3
        case "transparent":
            return png16(RGBA, SIZE, [*pixel, 0]), (255, 255, 255)
        case "turned":
            return png16(GREY_ALPHA, SIZE, [pixel[0], 65535]), (shade,) * 3
        case "profile":
            with Image.open(io.BytesIO(png16(RGB, SIZE, pixel))) as image:
                return encoded(image, "PNG", icc_profile=profile()), _by_profile((shade, 100, 60))
    return png16(RGB, SIZE, pixel), (shade, 100, 60)


def _by_profile(colour: Shown) -> Shown:
    """A colour of the wide profile in sRGB, by the definition of both."""
    linear = [(each / 255) ** 2.2 for each in colour]
    wide = ((0.60974, 0.20528, 0.14919), (0.31111, 0.62567, 0.06322), (0.01947, 0.06087, 0.74457))
    x, y, z = (sum(row[at] * linear[at] for at in range(3)) for row in wide)
    rgb = (
        3.1338561 * x - 1.6168667 * y - 0.4906146 * z,
        -0.9787684 * x + 1.9161415 * y + 0.0334540 * z,
        0.0719453 * x - 0.2289914 * y + 1.4052427 * z,
    )
    curved = (12.92 * each if each <= 0.0031308 else 1.055 * each ** (1 / 2.4) - 0.055 for each in rgb)
    return tuple(max(0, min(255, round(255 * each))) for each in curved)


def _text(of: Combination, caption: str) -> bytes:
    match of.encoding:
        case "mark":
            return caption.encode("utf-8-sig")
        case "utf-16":
            return b"\xff\xfe" + caption.encode("utf-16-le")
    return caption.encode("cp1252" if of.encoding == "cp1252" else "utf-8")


def _rows(names: list[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """The input image, the target image and the caption of each pair."""
    for (start, _caption), (end, caption) in zip(names[::2], names[1::2], strict=True):
        yield start, end, caption


def _jsonl(names: list[tuple[str, str]]) -> bytes:
    columns = ("control_image", "target_image", "prompt")
    return "\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in _rows(names)).encode()


def _csv(names: list[tuple[str, str]]) -> bytes:
    lines = ["control_image,target_image,prompt", *(",".join(row) for row in _rows(names))]
    return "\r\n".join(lines).encode("utf-8-sig")


TABLES = {"jsonl": _jsonl, "csv": _csv}


def _entry(of: Combination, name: str, content: bytes, part: str) -> Entry:
    """The member, its name written as the program behind the encoding does."""
    if of.encoding in CODE_PAGES:
        return Entry(name.encode(of.encoding), content)
    if of.encoding == "mac halves" and part == "start":
        name = unicodedata.normalize("NFD", name)
    return Entry(name.encode(), content, flags=UTF8)
