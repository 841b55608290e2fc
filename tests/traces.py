"""What running programs leave on the disk and in the list of processes, which may go while it is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path


def files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those below it, by their names."""
    for name, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(name) / file for file in sorted(files))


def contents_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in files_below(folder):
        with suppress(FileNotFoundError):
            yield path, path.read_bytes()


def command_lines(pids: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            yield pid, Path(f"/proc/{pid}/cmdline").read_bytes()
