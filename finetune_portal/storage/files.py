"""Write files so that a crash at any moment leaves the old file or the new one, never half of one."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

ABANDONED_SECONDS = 24 * 3600.0  # no writer takes so long


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write to. When the block ends without an error, the file stands at `path`.

    The bytes reach the disk before the name does, and the name before the caller goes on, so a row that is
    committed afterwards never points at a file that a power cut took away. An error in the block leaves
    `path` as it was. Missing folders are made; file and folders are the owner's alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{uuid.uuid4().hex}.part")  # two writers never share a draft
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def clear_drafts(folder: Path) -> None:
    """Remove the drafts below `folder` whose writer was killed a day ago or earlier."""
    latest = time.time() - ABANDONED_SECONDS
    for draft in folder.rglob(".*.part"):
        if draft.stat().st_mtime < latest:
            draft.unlink(missing_ok=True)
