"""A file that arrives over time, in several tries and in processes that may be killed."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Self

from finetune_portal.storage import files

BLOCK = 1024 * 1024


class FileBusyError(Exception):
    """Another process writes the file at the moment."""


class PartialFile:
    """What has arrived of the file that will stand at `path`, with one writer at a time.

    It lies beside `path` until `finish`, and is hashed while it is written. A writer that is killed loses its
    lock at once. What was written before `sync` is on the disk after a crash.
    """

    def __init__(self, path: Path, received: int) -> None:
        """Open it with the `received` bytes that it has on the disk; it is empty if it has fewer.

        Raises FileBusyError.
        """
        self._path, self._partial = path, partial_path(path)
        files.create(self._partial)
        self._file = files.open_stored(self._partial)
        try:
            self._lock()
            self.received = received if self._file.allocated >= received else 0
            self._digest = hashlib.sha256()
            self._read_back()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_the_same = self._partial.stat().st_ino == os.fstat(self._file.fileno()).st_ino
        except (BlockingIOError, FileNotFoundError):
            is_the_same = False
        if not is_the_same:  # or it was given its name between the opening and the lock
            raise FileBusyError

    def _read_back(self) -> None:
        if not self.received:
            self._file.truncate(0)
        self._file.seek(0)
        while (left := self.received - self._file.tell()) > 0:
            self._digest.update(self._file.read(min(BLOCK, left)))

    def restart(self) -> None:
        """Forget what has arrived."""
        self.received, self._digest = 0, hashlib.sha256()
        self._read_back()

    def announce(self, size: int) -> None:
        """Allocate the whole file. Raises DiskFullError."""
        self._file.announce(size)

    def write(self, block: bytes) -> None:
        """Raises DiskFullError."""
        rest = memoryview(block)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._digest.update(block)
        self.received += len(block)

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def finish(self) -> str:
        """Give the file its name, on the disk, too, and return its SHA-256."""
        self._file.truncate(self.received)
        self.sync()
        files.move(self._partial, self._path)
        return self._digest.hexdigest()


def partial_path(path: Path) -> Path:
    """Where a file lies until it is whole. No cleaning of drafts removes it, however long it waits."""
    return path.with_name(f".{path.name}.partial")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
