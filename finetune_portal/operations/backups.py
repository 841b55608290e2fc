"""Backups, made while the portal runs: databases and files of DATA_DIR in one tar file. And the way back.

Each database is copied whole, in one read. The files come after it, so whatever it tells of is there. Secrets
are left out: who finds a backup finds no key to what is sealed in it.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils.timezone import now

from finetune_portal import __version__
from finetune_portal.jobs.sync import submit

PORTAL, ENGINE = "portal.sqlite3", "engine/engine.sqlite3"
FOLDERS = ("datasets", "previews", "samples", "playground", "engine")
APART = {"api-key", "lock"}  # of the engine: a key, and a sign that it runs
LABEL = "finetune-portal-backup.json"
DRAFT = ".restoring"
BLOCK = 1024 * 1024


class Unusable(Exception):
    """Why there can be no backup, or no way back from it; the text is for people."""


@dataclass(frozen=True)
class Restored:
    """`made`: when the backup was. `doubtful`: trainings that may have been sent since."""

    made: datetime
    files: int
    doubtful: int


def make(target: Path) -> None:
    """Write the whole backup, readable by its owner only. No file has this name before it is whole."""
    if target.exists():
        raise Unusable(f"{target} is there already. Choose another name.")
    try:
        with TemporaryDirectory(prefix=".backup-", dir=target.parent) as folder:
            draft = Path(folder) / "draft.tar"
            with _create(draft) as file:
                with tarfile.open(fileobj=file, mode="w") as tar:
                    _fill(tar, Path(folder))
                file.flush()
                os.fsync(file.fileno())
            draft.rename(target)
    except OSError as exc:
        raise Unusable(f"The backup cannot be written to {target.parent}: {exc.strerror}.") from None


def _fill(tar: tarfile.TarFile, folder: Path) -> None:
    told = {"made": now().isoformat(), "version": __version__, "database": connection.vendor}
    label = folder / LABEL
    label.write_text(json.dumps(told), encoding="utf-8")
    tar.add(label, LABEL)
    for name in _databases():
        if (_data() / name).exists():
            tar.add(_copied(_data() / name, folder / Path(name).name), name)
    for path in _files():
        _add(tar, path)


def _databases() -> list[str]:
    """The engine's first, so that the portal's is put in place last. PostgreSQL has its own tools."""
    return [ENGINE, PORTAL] if connection.vendor == "sqlite" else [ENGINE]


def _copied(database: Path, target: Path) -> Path:
    """The newest rows of a running database are in its -wal file; a copy of the file alone may be broken."""
    with closing(sqlite3.connect(database, timeout=60)) as source:
        source.execute("VACUUM INTO ?", (str(target),))
    _must_be_whole(target)
    return target


def _must_be_whole(database: Path) -> None:
    try:
        with closing(sqlite3.connect(database)) as copy:
            answer = copy.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.DatabaseError as exc:
        answer = str(exc)
    if answer != "ok":
        raise Unusable(f"The database {database.name} is damaged: {answer}.")


def _files() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((_data() / folder).rglob("*")):
            is_kept = path.name not in APART and not path.name.startswith((".", "engine.sqlite3"))
            if is_kept and path.is_file() and not path.is_symlink():
                yield path


def _add(tar: tarfile.TarFile, path: Path) -> None:
    """As long as the file was when it was opened; one that is gone meanwhile is left out."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        tar.addfile(tar.gettarinfo(fileobj=file, arcname=str(path.relative_to(_data()))), Steady(file))


class Steady:
    """An upload that begins anew cuts its file. Zeros stand for what is gone; the check will refuse them."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = 0, /) -> bytes:
        return self._file.read(size).ljust(size, b"\0")


def restore(source: Path) -> Restored:
    """Put everything back into a DATA_DIR without a database, while nothing runs there.

    The portal's database gets its name last. What was killed before that is simply done again.
    """
    if (present := _data() / _databases()[-1]).exists():
        told = f"There is a database already: {present}."
        raise Unusable(f"{told} Stop the portal, move {_data()} away, and run this again.")
    try:
        with tarfile.open(source, "r:") as tar:
            made, files = _unpack(tar)
    except (tarfile.TarError, ValueError, KeyError):
        raise Unusable(f"{source} is no backup, or not a whole one.") from None
    except OSError as exc:
        raise Unusable(f"The backup cannot be read or written back: {exc.strerror}.") from None
    for name in _databases():
        if (draft := _data() / f"{name}{DRAFT}").exists():
            _must_be_whole(draft)
    return Restored(made, files, _put_in_place())


def _unpack(tar: tarfile.TarFile) -> tuple[datetime, int]:
    label = tar.next()
    file = tar.extractfile(label) if label and label.name == LABEL else None
    if file is None:
        raise tarfile.ReadError
    made, files = datetime.fromisoformat(json.load(file)["made"]), 0
    for member in tar:
        if member.name == LABEL:
            continue
        content = tar.extractfile(member) if _is_ours(member) else None
        if content is None:
            raise Unusable(f"There is something in this file that is in no backup: {member.name!r}.")
        is_database = member.name in (PORTAL, ENGINE)
        _write(content, _data() / (f"{member.name}{DRAFT}" if is_database else member.name), member.size)
        files += not is_database
    return made, files


def _is_ours(member: tarfile.TarInfo) -> bool:
    """A plain file that can only lie where a backup has them."""
    path = PurePosixPath(member.name)
    is_inside = not path.is_absolute() and ".." not in path.parts and path.parts[0] in FOLDERS
    return member.isreg() and (member.name == PORTAL or (is_inside and path.name not in APART))


def _write(content: IO[bytes], path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _create(path) as file:
        shutil.copyfileobj(content, file, BLOCK)
        if file.tell() != size:
            raise tarfile.ReadError
        file.flush()
        os.fsync(file.fileno())


def _put_in_place() -> int:
    """Answers how many trainings may have been sent since."""
    name = connection.settings_dict["NAME"]
    draft = _data() / f"{PORTAL}{DRAFT}"
    is_here = connection.vendor == "sqlite"
    if is_here and not draft.exists():
        raise Unusable("There is no database in it: it was made where the portal used PostgreSQL.")
    connection.close()
    try:
        connection.settings_dict["NAME"] = str(draft) if is_here else name
        call_command("migrate", verbosity=0, interactive=False)
        doubtful = submit.mark_unsent_unconfirmed()
    finally:
        connection.close()  # the last one to leave takes the -wal file along
        connection.settings_dict["NAME"] = name
    for each in _databases():
        if (found := _data() / f"{each}{DRAFT}").exists():
            found.rename(_data() / each)
    return doubtful


def _data() -> Path:
    return Path(settings.DATA_DIR)


def _create(path: Path) -> IO[bytes]:
    """For the owner's eyes only."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
