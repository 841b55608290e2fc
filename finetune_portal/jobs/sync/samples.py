"""Sample images of a training: files under DATA_DIR/samples, in a folder for each job.

`control` and `target` are the held-out pair, a number is the step of a sample. An empty file stands for an
image that cannot be fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from django.conf import settings

from finetune_portal.datasets import decoding, previews
from finetune_portal.storage.files import write_atomically

PAIR = ("control", "target")


def path(job_id: int, name: str) -> Path:
    return Path(settings.DATA_DIR) / "samples" / str(job_id) / f"{name}.png"


def preview_path(job_id: int, name: str, edge: str) -> Path:
    """Where the WebP of an image lies, at most `previews.EDGES[edge]` pixels wide and high."""
    return path(job_id, name).with_name(f"{name}-{edge}.webp")


def request_preview(job_id: int, name: str, edge: str) -> bool:
    """Have the worker make the preview. False if there is no such image."""
    picture = ("", preview_path(job_id, name, edge))
    return exists(job_id, name) and previews.request_all(path(job_id, name), [picture], previews.EDGES[edge])


def missing(job_id: int, steps: Iterable[int]) -> list[str]:
    """Return the names of the images not fetched yet: the pair first, then step by step."""
    names = [str(step) for step in steps]
    wanted = [*PAIR, *names] if names else []
    return [name for name in wanted if not path(job_id, name).exists()]


def stored(job_id: int, steps: Iterable[int]) -> list[int]:
    return [step for step in steps if exists(job_id, str(step))]


def exists(job_id: int, name: str) -> bool:
    file = path(job_id, name)
    return file.is_file() and file.stat().st_size > 0


def save(job_id: int, images: Mapping[str, bytes]) -> None:
    """Store images by their names; an empty file for content that is no whole PNG of an acceptable size.

    They are decoded in the checker's limited child. One that it had no time for stays missing. Raises
    DiskFullError.
    """
    formats = decoding.picture_formats(list(images.values()))
    for (name, content), kind in zip(images.items(), formats, strict=True):
        if kind is None:
            continue
        stored = content if kind == "png" else b""
        with write_atomically(path(job_id, name), len(stored)) as file:
            file.write(stored)
