"""Write a file whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Give a draft to write; at the end of the block it takes the place of `path`.

    Readers see the old file or the whole new one. When the block is left, the content and the name are on the
    disk (fsync of both), because a row or an HTTP answer that promises the file is written next, and a power
    cut must not keep the promise and lose the file. That costs milliseconds, and every file written here is
    either large or rare. After an exception `path` is as it was.

    The draft `.NAME.….part` lies beside `path`. One that a killed process left is deleted at the next start.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield draft
        _sync(draft)
        draft.replace(path)
        _sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
