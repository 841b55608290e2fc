"""Back up the databases and files of DATA_DIR into one tar file while the portal runs, and restore it.

Each database is copied whole, in one read. The files follow, so every file that a row names is there. Copies
of model files are in it where that is asked for; after a restore without them they are copied again. Secrets
are left out: a backup holds no key to what is encrypted in it.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.utils.timezone import now

from finetune_portal import __version__
from finetune_portal.accounts import services as accounts
from finetune_portal.datasets.models import Dataset
from finetune_portal.gateway import services as gateway
from finetune_portal.jobs.sync import poll, submit
from finetune_portal.queue import leases
from finetune_portal.registry import copy_requests
from finetune_portal.storage import files
from finetune_portal.storage.room import Room, new_content
from finetune_portal.web import disk_full

MODELS = "models"
PORTAL, ENGINE = "portal.sqlite3", "engine/engine.sqlite3"
FOLDERS = ("datasets", "previews", "samples", "playground", "engine", MODELS)
KEY_OF_0_1 = "engine/secret-key"  # was in backups by mistake, and is not restored
LABEL = "finetune-portal-backup.json"
DRAFT = ".restoring"
BLOCK = 1024 * 1024


class BackupError(Exception):
    """The backup cannot be made or restored. The text is for people."""


@dataclass(frozen=True)
class Restored:
    """`made_at`: when the backup was made. `unconfirmed`: jobs that may have been submitted since.

    `missing_models`: copies of model files that are not in it.
    """

    made_at: datetime
    files: int
    unconfirmed: int
    missing_models: int


def make(target: Path, *, with_models: bool = False) -> None:
    """Write the backup for its owner only. No file has the name `target` before it is whole."""
    if target.exists():
        raise BackupError(f"{target} exists. Choose another name.")
    try:
        with TemporaryDirectory(prefix=".backup-", dir=target.parent) as folder:
            room, draft = _room_in(target.parent), Path(folder) / "draft.tar"
            with (
                new_content(draft, room, _announced(with_models)) as file,
                tarfile.open(fileobj=file, mode="w") as tar,
            ):
                _fill(tar, Path(folder), room, with_models=with_models)
            draft.rename(target)
    except (OSError, sqlite3.OperationalError) as exc:
        raise BackupError(f"The backup cannot be written to {target.parent}: {_reason(exc)}") from None


def _room_in(folder: Path) -> Room | None:
    """The room on the disk of DATA_DIR, if the folder lies on it; another disk has no floor."""
    return files.room() if folder.stat().st_dev == _data().stat().st_dev else None


def _announced(with_models: bool) -> int:
    """About as many bytes as the backup will have."""
    databases = [_data() / name for name in _databases()]
    return sum(path.stat().st_size for path in [*databases, *_files(with_models)] if path.exists())


def _reason(exc: Exception) -> str:
    return disk_full.sentence(exc) or f"{getattr(exc, 'strerror', None) or exc}."


def _fill(tar: tarfile.TarFile, folder: Path, room: Room | None, *, with_models: bool) -> None:
    label_data = {"made": now().isoformat(), "version": __version__, "database": connection.vendor}
    label = tarfile.TarInfo(LABEL)
    content = json.dumps(label_data).encode()
    label.size = len(content)
    tar.addfile(label, BytesIO(content))
    for name in _databases():
        if (_data() / name).exists():
            copy = _copy_database(_data() / name, folder / Path(name).name, room)
            tar.add(copy, name)
            copy.unlink()
    unfinished = Dataset.objects.filter(received__lt=F("size"))
    received = {dataset.path: dataset.received for dataset in unfinished}
    for path in _files(with_models):
        _add(tar, path, received.get(path))


def _databases() -> list[str]:
    """List the engine's first, so that the portal's is restored last. PostgreSQL has tools of its own."""
    return [ENGINE, PORTAL] if connection.vendor == "sqlite" else [ENGINE]


def _copy_database(database: Path, target: Path, room: Room | None) -> Path:
    """Copy by VACUUM INTO: the newest rows are in the -wal file, so a plain copy may be broken.

    SQLite writes the copy itself, so nobody else takes room meanwhile. Raises DiskFullError.
    """
    with closing(sqlite3.connect(database, timeout=60)) as source:
        size = source.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        needed = int(size.fetchone()[0])
        with room.held(needed) if room else nullcontext():
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


def _files(with_models: bool) -> Iterator[Path]:
    for folder in FOLDERS if with_models else FOLDERS[:-1]:
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


def _add(tar: tarfile.TarFile, path: Path, received: int | None) -> None:
    """Add as many bytes as the file had when it was opened, or of an unfinished one what was `received`.

    A file that is gone by now is left out.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        member = tar.gettarinfo(fileobj=file, arcname=str(path.relative_to(_data())))
        member.size = member.size if received is None else received
        tar.addfile(member, PaddedReader(file))


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
            made_at, count = _unpack(tar)
    except (tarfile.TarError, ValueError, KeyError):
        raise BackupError(f"{source} is not a backup, or it is incomplete.") from None
    except OSError as exc:
        raise BackupError(f"The backup cannot be read or written back: {_reason(exc)}") from None
    for name in _databases():
        if (draft := _data() / f"{name}{DRAFT}").exists():
            _check_database(draft)
    unconfirmed, missing = _install_databases()
    return Restored(made_at, count, unconfirmed, missing)


def _unpack(tar: tarfile.TarFile) -> tuple[datetime, int]:
    label = tar.next()
    file = tar.extractfile(label) if label and label.name == LABEL else None
    if file is None:
        raise tarfile.ReadError
    made_at, count = datetime.fromisoformat(json.load(file)["made"]), 0
    for member in tar:
        if member.name in (LABEL, KEY_OF_0_1):
            continue
        content = tar.extractfile(member) if _is_expected(member) else None
        if content is None:
            raise BackupError(f"This file holds something that no backup holds: {member.name!r}.")
        is_database = member.name in (PORTAL, ENGINE)
        _write(content, _data() / (f"{member.name}{DRAFT}" if is_database else member.name), member.size)
        count += not is_database
    return made_at, count


def _is_expected(member: tarfile.TarInfo) -> bool:
    """Accept a plain file inside the folders that a backup has."""
    path = PurePosixPath(member.name)
    is_inside = not path.is_absolute() and ".." not in path.parts and _is_content(member.name)
    return member.isreg() and (member.name in (PORTAL, ENGINE, KEY_OF_0_1) or is_inside)


def _write(content: IO[bytes], path: Path, size: int) -> None:
    files.make_folder(path.parent)
    with new_content(path, files.room(), size) as file:
        shutil.copyfileobj(content, file, BLOCK)
        if file.tell() != size:
            raise tarfile.ReadError


def _install_databases() -> tuple[int, int]:
    """Migrate the databases and give them their names.

    Return how many jobs may have been submitted since, and how many copies of model files are missing. Nobody
    is signed in afterwards. What the worker of then held or put off, the next worker does at once.
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
        missing = copy_requests.note_all_missing()
        poll.poll_now()
    finally:
        connection.close()  # the last connection removes the -wal file
        connection.settings_dict["NAME"] = name
    for each in _databases():
        if (restored := _data() / f"{each}{DRAFT}").exists():
            files.move(restored, _data() / each)
    return unconfirmed, missing


def _data() -> Path:
    return Path(settings.DATA_DIR)
