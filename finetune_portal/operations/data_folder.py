"""Look through DATA_DIR for what this user cannot use, before a page or a job fails on it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from finetune_portal import env
from finetune_portal.operations.backups import FOLDERS, PORTAL

OWN = ("secrets", "static", PORTAL, f"{PORTAL}-wal", f"{PORTAL}-shm", *FOLDERS)


def problem(folder: Path) -> str:
    """Return a sentence about the first file or folder that cannot be used; empty if all can.

    Makes `folder`. Only what the portal itself keeps there is looked at: a volume has a `lost+found`, too.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        return env.not_usable(Path(exc.filename or folder), str(exc.strerror))
    bad = next((path for path in _entries(folder) if not _is_usable(path)), None)
    return env.not_usable(bad, os.strerror(errno.EACCES)) if bad else ""


def _entries(folder: Path) -> Iterator[Path]:
    """The folder, and all of its own that is in it. Each folder comes before its entries."""
    yield folder
    for top in (folder / name for name in OWN):
        if not top.exists():
            continue
        yield top
        for base, folders, files in os.walk(top):
            yield from (Path(base, name) for name in (*folders, *files))


def _is_usable(path: Path) -> bool:
    """Files are replaced, not changed, but for the databases."""
    if path.is_symlink() and not path.exists():
        return True
    if path.is_dir():
        return os.access(path, os.R_OK | os.W_OK | os.X_OK)
    return os.access(path, os.R_OK | (os.W_OK if ".sqlite3" in path.name else 0))
