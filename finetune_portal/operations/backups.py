"""Back up the databases and files of DATA_DIR into one tar file while the portal runs, and restore it.

Each database is copied whole, in one read. The files follow, so every file that a row names is there. Secrets
are left out: a backup holds no key to what is encrypted in it.
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
from finetune_portal.accounts import services as accounts
from finetune_portal.gateway import services as gateway
from finetune_portal.jobs.sync import poll, submit
from finetune_portal.queue import leases

PORTAL, ENGINE = "portal.sqlite3", "engine/engine.sqlite3"
FOLDERS = ("datasets", "previews", "samples", "playground", "engine")
KEY_OF_0_1 = "engine/secret-key"  # was in backups by mistake, and is not restored
LABEL = "finetune-portal-backup.json"
DRAFT = ".restoring"
BLOCK = 1024 * 1024


class BackupError(Exception):
    """The backup cannot be made or restored. The text is for people."""


@dataclass(frozen=True)
class Restored:
    """`made_at`: when the backup was made. `unconfirmed`: jobs that may have been submitted since."""

    made_at: datetime
    files: int
    unconfirmed: int


def make(target: Path) -> None:
    """Write the backup for its owner only. No file has the name `target` before it is whole."""
    if target.exists():
        raise BackupError(f"{target} exists. Choose another name.")
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
        raise BackupError(f"The backup cannot be written to {target.parent}: {exc.strerror}.") from None


def _fill(tar: tarfile.TarFile, folder: Path) -> None:
    label_data = {"made": now().isoformat(), "version": __version__, "database": connection.vendor}
    label = folder / LABEL
    label.write_text(json.dumps(label_data), encoding="utf-8")
    tar.add(label, LABEL)
    for name in _databases():
        if (_data() / name).exists():
            tar.add(_copy_database(_data() / name, folder / Path(name).name), name)
    for path in _files():
        _add(tar, path)


def _databases() -> list[str]:
    """List the engine's first, so that the portal's is restored last. PostgreSQL has tools of its own."""
    return [ENGINE, PORTAL] if connection.vendor == "sqlite" else [ENGINE]


def _copy_database(database: Path, target: Path) -> Path:
    """Copy by VACUUM INTO: the newest rows are in the -wal file, so a plain copy may be broken."""
    with closing(sqlite3.connect(database, timeout=60)) as source:
        source.execute("VACUUM INTO ?", (str(target),))
    _check_database(target)
    return target


def _check_database(database: Path) -> None:
    try:
        with closing(sqlite3.connect(database)) as copy:
            result = copy.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.DatabaseError as exc:
        result = str(exc)
    if result != "ok":
        raise BackupError(f"The database {database.name} is damaged: {result}.")


def _files() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((_data() / folder).rglob("*")):
            name = path.relative_to(_data()).as_posix()
            if _is_content(name) and path.is_file() and not path.is_symlink():
                yield path


def _is_content(name: str) -> bool:
    """Whether a file of DATA_DIR is content: its folder lies in one of FOLDERS, and it is no draft.

    Right in the engine's folder are its database, which is copied by itself, its keys and its lock.
    """
    path = PurePosixPath(name)
    depth = 3 if path.parts[0] == "engine" else 2
    return path.parts[0] in FOLDERS and len(path.parts) >= depth and not path.name.startswith(".")


def _add(tar: tarfile.TarFile, path: Path) -> None:
    """Add as many bytes as the file had when it was opened. A file that is gone by now is left out."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        tar.addfile(tar.gettarinfo(fileobj=file, arcname=str(path.relative_to(_data()))), PaddedReader(file))


class PaddedReader:
    """Pad with zeros what a file lost since it was opened: an upload that starts over truncates its file.

    The check of the dataset refuses the zeros later.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = 0, /) -> bytes:
        return self._file.read(size).ljust(size, b"\0")


def restore(source: Path) -> Restored:
    """Restore into a DATA_DIR without a database, while nothing runs there. Raises BackupError.

    The portal's database gets its name last, so a restore that was killed can be run again.
    """
    if (present := _data() / _databases()[-1]).exists():
        message = f"There is a database already: {present}."
        raise BackupError(f"{message} Stop the portal, move {_data()} away, and run this again.")
    try:
        with tarfile.open(source, "r:") as tar:
            made_at, files = _unpack(tar)
    except (tarfile.TarError, ValueError, KeyError):
        raise BackupError(f"{source} is not a backup, or it is incomplete.") from None
    except OSError as exc:
        raise BackupError(f"The backup cannot be read or written back: {exc.strerror}.") from None
    for name in _databases():
        if (draft := _data() / f"{name}{DRAFT}").exists():
            _check_database(draft)
    return Restored(made_at, files, _install_databases())


def _unpack(tar: tarfile.TarFile) -> tuple[datetime, int]:
    label = tar.next()
    file = tar.extractfile(label) if label and label.name == LABEL else None
    if file is None:
        raise tarfile.ReadError
    made_at, files = datetime.fromisoformat(json.load(file)["made"]), 0
    for member in tar:
        if member.name in (LABEL, KEY_OF_0_1):
            continue
        content = tar.extractfile(member) if _is_expected(member) else None
        if content is None:
            raise BackupError(f"This file holds something that no backup holds: {member.name!r}.")
        is_database = member.name in (PORTAL, ENGINE)
        _write(content, _data() / (f"{member.name}{DRAFT}" if is_database else member.name), member.size)
        files += not is_database
    return made_at, files


def _is_expected(member: tarfile.TarInfo) -> bool:
    """Accept a plain file inside the folders that a backup has."""
    path = PurePosixPath(member.name)
    is_inside = not path.is_absolute() and ".." not in path.parts and _is_content(member.name)
    return member.isreg() and (member.name in (PORTAL, ENGINE, KEY_OF_0_1) or is_inside)


def _write(content: IO[bytes], path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _create(path) as file:
        shutil.copyfileobj(content, file, BLOCK)
        if file.tell() != size:
            raise tarfile.ReadError
        file.flush()
        os.fsync(file.fileno())


def _install_databases() -> int:
    """Migrate the databases and give them their names. Return how many jobs may have been submitted since.

    Nobody is signed in afterwards. What the worker of then held or put off, the next worker does at once.
    """
    name = connection.settings_dict["NAME"]
    draft = _data() / f"{PORTAL}{DRAFT}"
    is_sqlite = connection.vendor == "sqlite"
    if is_sqlite and not draft.exists():
        raise BackupError("The backup has no database: it was made where the portal used PostgreSQL.")
    connection.close()
    try:
        connection.settings_dict["NAME"] = str(draft) if is_sqlite else name
        call_command("migrate", verbosity=0, interactive=False)
        unconfirmed = submit.mark_unsent_unconfirmed()
        accounts.end_open_access()
        gateway.revoke_all()
        leases.release_all()
        poll.poll_now()
    finally:
        connection.close()  # the last connection removes the -wal file
        connection.settings_dict["NAME"] = name
    for each in _databases():
        if (restored := _data() / f"{each}{DRAFT}").exists():
            restored.rename(_data() / each)
    return unconfirmed


def _data() -> Path:
    return Path(settings.DATA_DIR)


def _create(path: Path) -> IO[bytes]:
    """Open a new file that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
