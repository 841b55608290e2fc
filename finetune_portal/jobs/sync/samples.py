"""Sample images of a training: files under DATA_DIR/samples, in a folder for each job.

`control` and `target` are the held-out pair, a number is the step of a sample. An empty file stands for an
image that cannot be fetched.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from finetune_portal.datasets import checker
from finetune_portal.storage.files import write_atomically

PAIR = ("control", "target")


def path(job_id: int, name: str) -> Path:
    return Path(settings.DATA_DIR) / "samples" / str(job_id) / f"{name}.png"


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


def save(job_id: int, name: str, content: bytes) -> None:
    """Store an image, or an empty file if the content is no whole PNG of an acceptable size.

    The image is decoded in the checker's limited child.
    """
    is_png = checker.picture_format(content) == "PNG"
    with write_atomically(path(job_id, name)) as file:
        file.write(content if is_png else b"")
