"""Make small pictures of a dataset's pairs when a page first shows them, and keep them beside the data."""

from __future__ import annotations

import hashlib
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from PIL import Image, ImageOps

from finetune_portal.datasets import remote
from finetune_portal.datasets.models import Dataset
from finetune_portal.storage.files import write_atomically

EDGES = {"small": 160, "large": 1024}
REMOTE_PAIRS = 12
MAX_PIXELS = 50_000_000
MAX_BYTES = 100_000_000
UNREADABLE = (OSError, KeyError, ValueError, zipfile.BadZipFile, Image.DecompressionBombError)


def preview(dataset: Dataset, member: str, edge: str) -> Path | None:
    """A WebP of the picture `member`, at most EDGES[edge] pixels wide and high; None if it cannot be made."""
    path = _preview_path(dataset, member, edge)
    if path.exists():
        return path
    if not dataset.has_file:
        return None
    with suppress(*UNREADABLE), zipfile.ZipFile(dataset.path) as archive:
        _make(path, archive, member, edge)
    return path if path.exists() else None


def make_remote_previews(dataset: Dataset, file: BinaryIO, pairs: list[dict[str, Any]]) -> None:
    """Make the small previews of the first pairs of a remote ZIP. Unreadable pictures are left out."""
    with suppress(remote.RemoteFileError, *UNREADABLE), zipfile.ZipFile(file) as archive:
        for pair in pairs[:REMOTE_PAIRS]:
            for half in ("start", "end"):
                _make(_preview_path(dataset, pair[half], "small"), archive, pair[half], "small")


def _preview_path(dataset: Dataset, member: str, edge: str) -> Path:
    name = hashlib.sha256(member.encode()).hexdigest()[:24]
    return dataset.previews / f"{name}-{edge}.webp"


def _make(path: Path, archive: zipfile.ZipFile, member: str, edge: str) -> None:
    """Raises one of UNREADABLE."""
    if archive.getinfo(member).file_size > MAX_BYTES:
        raise ValueError("the picture has too many bytes")
    with archive.open(member) as file:
        shrink(file, path, EDGES[edge])


def shrink(file: IO[bytes], path: Path, edge: int) -> None:
    """Write a WebP of the picture, at most `edge` pixels wide and high. Raises one of UNREADABLE."""
    with Image.open(file, formats=("JPEG", "PNG", "WEBP")) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError("the picture has too many pixels")
        image.draft("RGB", (edge, edge))
        small = ImageOps.exif_transpose(image).convert("RGB")
        small.thumbnail((edge, edge))
    with write_atomically(path) as target:
        small.save(target, "WEBP", quality=80)
