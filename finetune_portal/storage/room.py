"""Room on the disk: take it before bytes are written, so that the floor stays free. No Django.

The file system is the ledger. Who announces a file allocates all its blocks at once (`posix_fallocate`), and
who does not know how much will come, such as a repair, allocates a MiB at a time. Allocated blocks count as
used for every process, also for one that knows nothing of this module, and also after a crash; they are free
again when the file is deleted or trimmed. All that allocate on the disk wait for each other at one lock, so
no two are given the same room. A table of reservations instead would have to be known to the engine and to
the checker's child, which have no database in common, be brought in step with each block that is written, and
be cleared of what a killed process announced.

A file system that cannot allocate, and macOS, get zeros written in place of it, which holds as well and is
slower.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from finetune_portal.web.disk_full import FULL, DiskFullError

STEP = 1024 * 1024  # bytes that a file of unknown size takes at once
# Bytes above the floor that are given to nobody, for what is written without asking: the databases with their
# write-ahead logs, folders, and the log lines of the engine's trainings.
MARGIN = 16 * 1024 * 1024
CANNOT = (errno.EOPNOTSUPP, errno.EINVAL)


@dataclass(frozen=True)
class Room:
    """The room on the disk of the file `lock`, on which `floor` bytes stay free."""

    lock: Path
    floor: int

    @property
    def left(self) -> int:
        """How many bytes can be allocated."""
        folder = next(path for path in self.lock.parents if path.exists())
        disk = os.statvfs(folder)
        return max(0, disk.f_bavail * disk.f_frsize - self.floor - MARGIN)

    def require(self, needed: int) -> int:
        """Return what is left. Raises DiskFullError where `needed` bytes could not be allocated now."""
        if needed > (left := self.left):
            raise DiskFullError(needed, left)
        return left

    def allocate(self, file: int, start: int, end: int) -> None:
        """Allocate an open file, which ends at `start`, up to `end`. Raises DiskFullError."""
        with self.held(end - start) as left:
            try:
                _allocate(file, start, end - start)
            except OSError as exc:
                os.ftruncate(file, start)
                if exc.errno in FULL:
                    raise DiskFullError(end - start, left) from None
                raise

    @contextmanager
    def held(self, needed: int) -> Iterator[int]:
        """Let nobody else allocate during the block, and yield what is left. Raises DiskFullError.

        It is for what writes `needed` bytes at most and cannot allocate them.
        """
        self.lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.require(needed)


@contextmanager
def new_content(path: Path, room: Room | None, announced: int = 0) -> Iterator[BinaryIO]:
    """Yield a file to write from its start, made where it is missing. After the block it is on the disk.

    `announced` bytes are allocated first. Raises DiskFullError.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    raw = RoomFile(path, room, announced=announced)
    with io.BufferedRandom(raw) as file:
        yield file
        file.flush()
        raw.trim()
        os.fsync(raw.fileno())


class RoomFile(io.FileIO):
    """A raw file that allocates before it writes.

    It keeps what it had, and its size is what is allocated: zeros stand where nothing was written yet, until
    `trim` cuts them off.
    """

    def __init__(self, file: Path | int, room: Room | None, *, announced: int = 0) -> None:
        """Open it, with `announced` bytes allocated. Raises DiskFullError.

        Without a `room` nothing is asked and nothing allocated.
        """
        super().__init__(file, "r+b")
        self._room, self._written = room, 0
        self.allocated = os.fstat(self.fileno()).st_size
        try:
            self.announce(announced)
        except BaseException:
            self.close()
            raise

    def announce(self, end: int) -> None:
        """Allocate up to `end`. Raises DiskFullError."""
        if self._room and end > self.allocated:
            self._room.allocate(self.fileno(), self.allocated, end)
            self.allocated = end

    def write(self, data: Any) -> int:
        """Write at the position, in allocated blocks. Raises DiskFullError and writes nothing then."""
        end = self.tell() + memoryview(data).nbytes
        if end > self.allocated:
            self._grow(end)
        count = super().write(data)
        self._written = max(self._written, self.tell())
        return count

    def _grow(self, end: int) -> None:
        try:
            self.announce(max(end, self.allocated + STEP))
        except DiskFullError:
            self.announce(end)

    def trim(self) -> None:
        """Give back what lies behind the last byte that was written."""
        if os.fstat(self.fileno()).st_size > self._written:
            self.truncate(self._written)

    def truncate(self, size: int | None = None) -> int:
        """Cut off what lies behind `size`; a larger size is allocated. Raises DiskFullError."""
        wanted = self.tell() if size is None else size
        self.announce(wanted)
        self.allocated = super().truncate(wanted)
        return self.allocated


def _allocate(file: int, start: int, count: int) -> None:
    if not count:
        return
    try:
        os.posix_fallocate(file, start, count)
    except (AttributeError, OSError) as exc:  # macOS does not have it
        if isinstance(exc, OSError) and exc.errno not in CANNOT:
            raise
        for at in range(start, start + count, STEP):
            os.pwrite(file, bytes(min(STEP, start + count - at)), at)
