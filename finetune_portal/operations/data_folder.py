"""Look through DATA_DIR for what this user cannot use, before a page or a job fails on it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from django.db import DatabaseError, connection

from finetune_portal import env
from finetune_portal.operations.backups import FOLDERS, PORTAL

OWN = (
    *("secrets", "static", "tmp", "locks", env.ROOM_LOCK),
    *(PORTAL, f"{PORTAL}-wal", f"{PORTAL}-shm", *FOLDERS),
)


def problem(folder: Path) -> str:
    """Return a sentence about the first file or folder that cannot be used; empty if all can.

    Makes `folder`. Only what the portal itself keeps there is looked at: a volume has a `lost+found`, too.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        return env.not_usable(Path(exc.filename or folder), str(exc.strerror))
    bad = next((path for path in _entries(folder) if not _is_usable(path)), None)
    return env.not_usable(bad, _reason(bad)) if bad else ""


def database_problem() -> str:
    """Return a sentence if the database cannot be opened and read; empty if it can."""
    try:
        connection.introspection.table_names()
    except DatabaseError as exc:
        reason = str(exc).partition("\n")[0]
        name = connection.settings_dict["NAME"]
        return f"The database {name} cannot be used: {reason}. See “Backups” in docs/operations.md."
    return ""


def _reason(bad: Path) -> str:
    return os.strerror(errno.EROFS if os.statvfs(bad).f_flag & os.ST_RDONLY else errno.EACCES)


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
    """Files are replaced, not changed, but for the databases and for what is locked."""
    if not path.exists():  # a link to nothing, or a draft that is gone meanwhile
        return True
    if path.is_dir():
        return os.access(path, os.R_OK | os.W_OK | os.X_OK)
    is_changed = (
        ".sqlite3" in path.name or path.name in ("lock", env.ROOM_LOCK) or path.parent.name == "locks"
    )
    return os.access(path, os.R_OK | (os.W_OK if is_changed else 0))
