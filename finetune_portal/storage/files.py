"""The door to the files under DATA_DIR: each is made, written, moved and deleted here.

A writer gets room on the disk before its bytes (room.py). A crash at any moment leaves the old file or the
new one, never half of one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from django.conf import settings

from finetune_portal.env import ROOM_LOCK
from finetune_portal.storage.room import Room, RoomFile, new_content

ABANDONED_SECONDS = 24 * 3600.0  # no writer takes so long


def room() -> Room:
    """The room on the disk of DATA_DIR."""
    return Room(Path(settings.DATA_DIR) / ROOM_LOCK, settings.DISK_FLOOR_BYTES)


def open_stored(path: Path, *, announced: int = 0) -> RoomFile:
    """Open a file to change it, with `announced` bytes allocated. Raises FileNotFoundError, DiskFullError."""
    return RoomFile(path, room(), announced=announced)


def create(path: Path) -> None:
    """Make an empty file for its owner alone, and its folder, where there is none yet."""
    make_folder(path.parent)
    path.touch(mode=0o600)


def make_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True, mode=0o700)


@contextmanager
def write_atomically(path: Path, announced: int = 0) -> Iterator[BinaryIO]:
    """Yield a file to write to. When the block ends without an error, the file stands at `path`.

    The bytes reach the disk before the name does, and the name before the caller goes on, so a row that is
    committed afterwards never points at a file that a power cut took away. An error in the block leaves
    `path` as it was. Missing folders are made; file and folders are the owner's alone. `announced` bytes are
    allocated first. Raises DiskFullError.
    """
    with _kept_if_moved(new_draft(path)) as draft:
        with new_content(draft, room(), announced) as file:
            yield file
        move(draft, path)


@contextmanager
def draft(announced: int = 0) -> Iterator[Path]:
    """Yield the path of a new file of `announced` zeros. Raises DiskFullError.

    The file is deleted after the block unless it was moved.
    """
    with _kept_if_moved(new_draft()) as path:
        open_stored(path, announced=announced).close()
        yield path


@contextmanager
def draft_folder() -> Iterator[Path]:
    """Yield a new folder on the disk of DATA_DIR, which is deleted after the block with all that is in it."""
    folder = temporary_folder() / f".{uuid.uuid4().hex}.part"
    make_folder(folder)
    try:
        yield folder
    finally:
        delete(folder)


def new_draft(beside: Path | None = None) -> Path:
    """Make an empty file in the folder of `beside`, or in that of temporary files, and return its path."""
    folder = beside.parent if beside else temporary_folder()
    path = folder / f".{uuid.uuid4().hex}.part"  # two writers never share a draft
    create(path)
    return path


@contextmanager
def _kept_if_moved(draft: Path) -> Iterator[Path]:
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def fill(draft: Path, content: bytes) -> None:
    """Write the content of a draft. It needs no room that the draft has. Raises DiskFullError."""
    with new_content(draft, room()) as file:
        file.write(content)


def temporary(announced: int = 0) -> RoomFile:
    """Open a new file without a name, with `announced` bytes allocated. Raises DiskFullError."""
    handle, name = tempfile.mkstemp(".part", ".", temporary_folder())
    Path(name).unlink()
    return RoomFile(handle, room(), announced=announced)


def temporary_folder() -> Path:
    """The folder of files that end with a request or a task; on the disk of the files that they become."""
    folder = Path(settings.DATA_DIR) / "tmp"
    make_folder(folder)
    return folder


def open_lock(path: Path) -> TextIO:
    """Open a file that is there to be locked."""
    make_folder(path.parent)
    return path.open("w")


def move(draft: Path, path: Path) -> None:
    """Give a draft its name, on the disk, too."""
    make_folder(path.parent)
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def delete(*paths: Path) -> None:
    """Delete files, and folders with all that is in them. What is not there is no error."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def clear_drafts(folder: Path) -> None:
    """Remove the drafts below `folder` whose writer was killed a day ago or earlier."""
    latest = time.time() - ABANDONED_SECONDS
    for draft in folder.rglob(".*.part"):
        if draft.stat().st_mtime < latest:
            delete(draft)
