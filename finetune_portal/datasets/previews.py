"""Small pictures of a dataset's pairs: made when first looked at, kept beside the data."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

from PIL import Image, ImageOps

from finetune_portal.datasets.models import Dataset

EDGES = {"small": 160, "large": 1024}
MAX_PIXELS = 50_000_000
MAX_PICTURE = 100_000_000


def preview(dataset: Dataset, member: str, edge: str) -> Path | None:
    """A WebP of the picture `member`, at most EDGES[edge] pixels wide and high; None if it cannot be."""
    name = hashlib.sha256(member.encode()).hexdigest()[:24]
    kept = dataset.previews / f"{name}-{edge}.webp"
    if kept.exists():
        return kept
    try:
        with zipfile.ZipFile(dataset.path) as archive:
            if archive.getinfo(member).file_size > MAX_PICTURE:
                return None
            with (
                archive.open(member) as file,
                Image.open(file, formats=("JPEG", "PNG", "WEBP")) as image,
            ):
                if image.width * image.height > MAX_PIXELS:
                    return None
                image.draft("RGB", (EDGES[edge], EDGES[edge]))
                small = ImageOps.exif_transpose(image).convert("RGB")
                small.thumbnail((EDGES[edge], EDGES[edge]))
    except (OSError, KeyError, zipfile.BadZipFile, ValueError, Image.DecompressionBombError):
        return None
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = kept.with_suffix(f".{os.getpid()}")
    small.save(draft, "WEBP", quality=80)
    draft.replace(kept)
    return kept
