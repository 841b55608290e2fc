"""Make plain copies of pictures: previews, and inputs of the playground. Runs in the limited child only."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import IO, Any, Literal, NamedTuple

from PIL import Image

from finetune_portal.datasets.checker import accepted, pixels

MAX_PNG_BYTES = 4_000_000  # a larger PNG becomes a JPEG
Kind = Literal["preview", "input"]


class PictureTask(NamedTuple):
    """A picture at `source`, or the `member` of a ZIP there, to be written to `target`.

    A `preview` is a WebP; an `input` is a PNG, or a JPEG where a PNG is large. Both are `plain` and at most
    `edge` pixels wide and high.
    """

    source: str
    member: str
    target: str
    edge: int
    kind: Kind = "preview"


def make_all(tasks: list[PictureTask], seconds: float) -> list[str]:
    """Make the first picture, and the others while time is left.

    Each outcome is the format that was written, such as “png”, or else `missing`, `broken`, `pixels`,
    `memory` or `later`.
    """
    deadline = monotonic() + seconds
    outcomes: list[str] = []
    for task in tasks:
        outcomes.append(_make(task) if not outcomes or monotonic() < deadline else "later")
    return outcomes


def _make(task: PictureTask) -> str:
    try:
        with _opened(task) as file:
            small = pixels.shrink(file, task.edge)
        content, kind = _encoded(small, task.kind)
        Path(task.target).write_bytes(content)
    except (pixels.TooManyPixelsError, Image.DecompressionBombError):
        return "pixels"
    except (FileNotFoundError, KeyError, zipfile.BadZipFile):
        return "missing"
    except MemoryError:
        return "memory"
    except pixels.IMAGE_ERRORS:
        return "broken"
    return kind


@contextmanager
def _opened(task: PictureTask) -> Iterator[IO[bytes]]:
    if not task.member:
        with Path(task.source).open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(task.source) as archive:
        if archive.getinfo(task.member).file_size > accepted.MAX_BYTES:
            raise pixels.TooManyPixelsError
        yield io.BytesIO(archive.read(task.member))


def _encoded(picture: Image.Image, kind: Kind) -> tuple[bytes, str]:
    if kind == "preview":
        return _saved(picture, "WEBP", quality=80), "webp"
    if len(content := _saved(picture, "PNG")) <= MAX_PNG_BYTES:
        return content, "png"
    return _saved(picture, "JPEG", quality=95, subsampling=0), "jpeg"


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
