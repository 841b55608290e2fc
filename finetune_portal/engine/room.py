"""Room on the disk of DATA_DIR: DISK_FLOOR_BYTES of it stay free, whoever writes at the same time.

A file gets its blocks before its bytes, while nobody else may take any: every process that writes to this
disk, the portal's too, holds the same lock meanwhile. Blocks that are taken count as used for everyone.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.conf import settings

from finetune_portal.engine.atomic_write import write_atomically

MARGIN = 16 * 1024**2  # bytes above the floor that are given to nobody: the databases grow without asking
BLOCK = 1024**2
FULL = (errno.ENOSPC, errno.EDQUOT)


class NoRoomError(OSError):
    """The file has no room above the floor."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __str__(self) -> str:
        return "The engine's disk is full."


@contextmanager
def write_announced(path: Path, size: int) -> Iterator[BinaryIO]:
    """Give a file of `size` bytes to write, as `write_atomically` does. Raises NoRoomError."""
    with write_atomically(path) as draft:
        take(draft, size)
        with draft.open("r+b") as file:
            yield file


@contextmanager
def write_growing(path: Path) -> Iterator[BinaryIO]:
    """Give a file of unknown size to write, as `write_atomically` does. Raises NoRoomError at the end."""
    with write_atomically(path) as draft, _GrowingFile(draft, "w") as file:
        try:
            yield cast(BinaryIO, file)
        except Exception:
            if file.is_full:  # a library may have raised an error of its own for it
                raise NoRoomError from None
            raise
        file.truncate()


class _GrowingFile(io.FileIO):
    """A raw file that takes room before it writes, a MiB or more at a time."""

    taken, is_full = 0, False

    def write(self, data: Any) -> int:
        try:
            if (end := self.tell() + memoryview(data).nbytes) > self.taken:
                end = max(end, self.taken + BLOCK)
                _extend(self.fileno(), self.taken, end)
                self.taken = end
            return super().write(data)
        except OSError as error:
            self.is_full = error.errno in FULL
            raise


def take(path: Path, size: int) -> None:
    """Make a file of `size` zeros. Raises NoRoomError, and then leaves no file."""
    with path.open("wb") as file:
        try:
            _extend(file.fileno(), 0, size)
        except OSError:
            path.unlink()
            raise


def _extend(file: int, start: int, end: int) -> None:
    """Allocate an open file, which ends at `start`, up to `end`. Raises NoRoomError."""
    settings.ROOM_LOCK.parent.mkdir(parents=True, exist_ok=True)
    with settings.ROOM_LOCK.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        disk = os.fstatvfs(file)
        if end - start > disk.f_bavail * disk.f_frsize - settings.DISK_FLOOR_BYTES - MARGIN:
            raise NoRoomError
        try:
            _allocate(file, start, end)
        except OSError as error:
            if error.errno in FULL:
                raise NoRoomError from None
            raise


def _allocate(file: int, start: int, end: int) -> None:
    if not hasattr(os, "posix_fallocate"):  # macOS
        for at in range(start, end, BLOCK):
            os.pwrite(file, bytes(min(BLOCK, end - at)), at)
    elif end > start:
        os.posix_fallocate(file, start, end - start)
