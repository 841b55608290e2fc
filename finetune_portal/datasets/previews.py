"""Small pictures of a dataset's pairs: made when first looked at, kept beside the data."""

from __future__ import annotations

import hashlib
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from PIL import Image, ImageOps

from finetune_portal.datasets import remote
from finetune_portal.datasets.models import Dataset

EDGES = {"small": 160, "large": 1024}
FIRST = 12
MAX_PIXELS = 50_000_000
MAX_PICTURE = 100_000_000
UNREADABLE = (OSError, KeyError, ValueError, zipfile.BadZipFile, Image.DecompressionBombError)


def preview(dataset: Dataset, member: str, edge: str) -> Path | None:
    """A WebP of the picture `member`, at most EDGES[edge] pixels wide and high; None if it cannot be."""
    kept = _place(dataset, member, edge)
    if kept.exists():
        return kept
    if not dataset.has_file:
        return None
    with suppress(*UNREADABLE), zipfile.ZipFile(dataset.path) as archive:
        _make(kept, archive, member, edge)
    return kept if kept.exists() else None


def make_first(dataset: Dataset, file: BinaryIO, pairs: list[dict[str, Any]]) -> None:
    """The small pictures of the first pairs of a ZIP that lies elsewhere; what cannot be read is left out."""
    with suppress(remote.RemoteFileError, *UNREADABLE), zipfile.ZipFile(file) as archive:
        for pair in pairs[:FIRST]:
            for half in ("start", "end"):
                _make(_place(dataset, pair[half], "small"), archive, pair[half], "small")


def _place(dataset: Dataset, member: str, edge: str) -> Path:
    name = hashlib.sha256(member.encode()).hexdigest()[:24]
    return dataset.previews / f"{name}-{edge}.webp"


def _make(kept: Path, archive: zipfile.ZipFile, member: str, edge: str) -> None:
    """Raises one of UNREADABLE."""
    if archive.getinfo(member).file_size > MAX_PICTURE:
        raise ValueError("too large a picture")
    with archive.open(member) as file:
        shrink(file, kept, EDGES[edge])


def shrink(file: IO[bytes], kept: Path, edge: int) -> None:
    """Write a WebP of the picture, at most `edge` pixels wide and high. Raises one of UNREADABLE."""
    with Image.open(file, formats=("JPEG", "PNG", "WEBP")) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError("too many pixels")
        image.draft("RGB", (edge, edge))
        small = ImageOps.exif_transpose(image).convert("RGB")
        small.thumbnail((edge, edge))
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = kept.with_suffix(f".{os.getpid()}")
    small.save(draft, "WEBP", quality=80)
    draft.replace(kept)
