"""The pictures that an engine made in a training: files under DATA_DIR/samples, a folder a job.

`control` and `target` are the held-out pair, a number is the step after which the model drew it. An empty
file is a picture that cannot be had.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from django.conf import settings
from PIL import Image

PAIR = ("control", "target")
MAX_PIXELS = 50_000_000


def path(job_id: int, name: str) -> Path:
    return Path(settings.DATA_DIR) / "samples" / str(job_id) / f"{name}.png"


def missing(job_id: int, steps: Iterable[int]) -> list[str]:
    """The names of those that were not fetched yet: the pair first, then step by step."""
    names = [str(step) for step in steps]
    wanted = [*PAIR, *names] if names else []
    return [name for name in wanted if not path(job_id, name).exists()]


def there(job_id: int, steps: Iterable[int]) -> list[int]:
    return [step for step in steps if exists(job_id, str(step))]


def exists(job_id: int, name: str) -> bool:
    place = path(job_id, name)
    return place.is_file() and place.stat().st_size > 0


def keep(job_id: int, name: str, content: bytes) -> None:
    """Empty where the content is no whole PNG of a bearable size."""
    place = path(job_id, name)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = place.with_name(f".{name}.part")
    draft.write_bytes(content if _is_png(content) else b"")
    draft.replace(place)


def _is_png(content: bytes) -> bool:
    try:
        with Image.open(BytesIO(content), formats=("PNG",)) as image:
            is_small = image.width * image.height <= MAX_PIXELS
            image.verify()
    except Exception:  # noqa: BLE001 - Pillow raises whatever its parsers meet
        return False
    return is_small
