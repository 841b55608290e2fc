"""A data folder as `manage.py up` prepares it: migrated and with packed static files, built once and copied.

The build is kept in `.test_cache/` for the workers of a run and for later runs, named by a hash of what it is
made from. On PostgreSQL each process migrates a template database of its own, which ends with the run.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from django.db import connection
from django.utils.timezone import now

from finetune_portal.operations.management.commands.up import UNUSED_STATIC
from tests import databases
from tests.running import ROOT

CACHE = ROOT / ".test_cache"
SOURCES = ("finetune_portal/**/*.py", "static/**/*", "requirements*.txt")
VARIABLES = ("SEGMIND_BASE_URL", "DATABASE_URL")  # the migrations read the first
KEPT = 3  # builds of other states of the code


def lay_out(folder: Path) -> None:
    """Give a program that was never started a folder whose tables and packed static files exist.

    To read the settings alone makes a folder with secrets, and a restore one with a database.
    """
    if not any((folder / each).exists() for each in ("portal.sqlite3", "static")):
        shutil.copytree(built(), folder, dirs_exist_ok=True)
        databases.copy(built(), folder)
        with databases.opened(folder) as database:
            refresh(database)


def refresh(database: databases.Connection) -> None:
    """Have the worker's next look due now, as in a new database: pages say when it is overdue.

    The time is written as Django writes it: the worker moves the row on only where it equals what was read.
    """
    moment, mark = connection.ops.adapt_datetimefield_value(now()), "%s" if databases.URL else "?"
    database.execute(f"UPDATE connections_connection SET due_at = {mark}", [moment])
    if not databases.URL:
        database.commit()


@cache
def built() -> Path:
    """The folder that all copies come from."""
    if databases.URL:
        top = Path(tempfile.mkdtemp(prefix="portal-prepared-"))
        atexit.register(shutil.rmtree, top, ignore_errors=True)
        return _build(top / "data")
    folder = CACHE / _key()
    with _locked():
        if not folder.is_dir():
            for old in sorted(CACHE.glob("????????????????"), key=os.path.getmtime)[:-KEPT]:
                shutil.rmtree(old, ignore_errors=True)
            draft = CACHE / "draft"
            shutil.rmtree(draft, ignore_errors=True)
            _build(draft).rename(folder)
    return folder


def _build(folder: Path) -> Path:
    folder.mkdir(parents=True)
    unused = [f"--ignore={pattern}" for pattern in UNUSED_STATIC]
    for command in (["migrate"], ["collectstatic", "--noinput", *unused]):
        run = [sys.executable, "manage.py", *command, "-v0"]
        subprocess.run(run, cwd=ROOT, env=databases.variables_of(folder), check=True)
    shutil.rmtree(folder / "secrets", ignore_errors=True)  # each program makes its own
    return folder


def _key() -> str:
    hashed = hashlib.sha256(repr((sys.version, [os.environ.get(name) for name in VARIABLES])).encode())
    for path in sorted(path for pattern in SOURCES for path in ROOT.glob(pattern) if path.is_file()):
        hashed.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return hashed.hexdigest()[:16]


@contextmanager
def _locked() -> Iterator[None]:
    """Workers and runs beside each other wait for the one that builds."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
