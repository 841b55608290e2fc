"""A set like the vendor's hat-overlay.zip, or that file itself where VENDOR_DATASETS names its folder."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from tests.e2e.dropping import HALVES, packed, picture

SIZE = (896, 1280)  # of each picture
CAPTION = "blend the hat on the person head"
PAIRS = 5


def write(folder: Path) -> Path:
    """Five pairs of PNGs in the root, the end first, with a byte order mark before each caption."""
    if vendor := os.environ.get("VENDOR_DATASETS"):
        return Path(vendor) / "hat-overlay.zip"
    files = {
        f"{number}_{half}.png": picture(size=SIZE, colour=colour_of(number, half))
        for number in range(1, PAIRS + 1)
        for half in sorted(HALVES)
    }
    files |= {f"{number}.txt": f"\ufeff{CAPTION}\n".encode() for number in range(1, PAIRS + 1)}
    path = folder / "hat-overlay.zip"
    path.write_bytes(packed(files))
    return path


def colour_of(number: int, half: str) -> str:
    return f"hsl({number * 60}, {80 if half == 'end' else 40}%, 50%)"


def write_picture(folder: Path) -> Path:
    """A picture that no pair has, for the playground."""
    path = folder / "a-person.png"
    Image.effect_noise((640, 480), 40).convert("RGB").save(path)
    return path
