"""Make plain copies of pictures: previews, and inputs of the playground. Runs in the limited child only."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import IO

from finetune_portal.datasets.checker import accepted, images, pixels
from finetune_portal.datasets.checker.picture_task import PictureTask
from finetune_portal.storage.room import Room, new_content

MAX_PNG_BYTES = 4_000_000  # a larger PNG becomes a JPEG
MISSING_ERRORS = (FileNotFoundError, KeyError, zipfile.BadZipFile)
ERRORS = (
    images.UnusableImageError,
    MemoryError,
    *MISSING_ERRORS,
    *pixels.TOO_LARGE_ERRORS,
    *pixels.IMAGE_ERRORS,
)


def make_all(tasks: Iterable[PictureTask], seconds: float, room: Room | None = None) -> Iterator[str]:
    """Make the first picture, and the others while time is left.

    Each outcome is the format that was written, such as “png”, or that of the source for a `format`; or one
    of FAILURES, or `unwritten` or `later`, which another try may change.
    """
    deadline = monotonic() + seconds
    for number, task in enumerate(tasks):
        yield _make(task, room) if not number or monotonic() < deadline else "later"


def _make(task: PictureTask, room: Room | None) -> str:
    try:
        with _opened(task) as file:
            content, kind = _work(file, task)
    except ERRORS as exc:
        return _reason(exc)
    if task.kind == "format":
        return kind
    try:
        _write(content, Path(task.target), room)
    except OSError:  # the disk is full, or the folder was deleted meanwhile
        return "unwritten"
    return kind


def _work(file: IO[bytes], task: PictureTask) -> tuple[bytes, str]:
    """The bytes to write, and their format. Raises one of ERRORS."""
    if task.kind == "format":
        return b"", images.inspect_image(file).format.lower()
    small = pixels.shrink(file, task.edge)
    if task.kind == "preview":
        return pixels.encode(small, "WEBP", quality=80), "webp"
    if len(content := pixels.encode(small, "PNG")) <= MAX_PNG_BYTES:
        return content, "png"
    return pixels.encode(small, "JPEG", quality=95, subsampling=0), "jpeg"


def _reason(exc: BaseException) -> str:
    """Which of FAILURES the error is."""
    if isinstance(exc, images.UnusableImageError):
        return str(exc)
    kinds = ((pixels.TOO_LARGE_ERRORS, "pixels"), (MISSING_ERRORS, "missing"), (MemoryError, "memory"))
    return next((name for errors, name in kinds if isinstance(exc, errors)), "broken")


def _write(content: bytes, target: Path, room: Room | None) -> None:
    """Write the file wholly or not at all."""
    draft = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with new_content(draft, room, len(content)) as file:
            file.write(content)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


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
