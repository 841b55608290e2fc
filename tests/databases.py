"""A database for each folder that a program of the tests works in, of the kind that DATABASE_URL names.

Without DATABASE_URL it is the SQLite file that the portal makes in the folder by itself. Else it is a
PostgreSQL database on the same server, made at the first ask and dropped at the end of the run.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.apps import apps
from django.conf import settings
from django.db import connection
from psycopg.sql import SQL, Identifier

from finetune_portal import env

Connection = Any  # sqlite3's or psycopg's
URL = env.secret("DATABASE_URL")
_made: set[str] = set()


def variables_of(folder: Path) -> dict[str, str]:
    """What a program must find in its environment to work in this folder; not before `copy`."""
    return {**os.environ, "DATA_DIR": str(folder), "DATABASE_URL": _url(name_of(folder)) if URL else ""}


@contextmanager
def opened(folder: Path) -> Iterator[Connection]:
    """The driver's own connection, for what Django has no words for."""
    database: Any = (
        psycopg.connect(_url(name_of(folder)), autocommit=True)
        if URL
        else sqlite3.connect(name_of(folder), timeout=20)
    )
    with closing(database):
        yield database


def back_up(folder: Path, to: Path) -> None:
    """As docs/operations.md says, while the portal runs."""
    if URL:
        subprocess.run(["pg_dump", f"--file={to}", _url(name_of(folder))], check=True)
    else:
        command = [sys.executable, "manage.py", "backup", str(to)]
        subprocess.run(command, cwd=env.ROOT, env=variables_of(folder), check=True)


def name_of(folder: Path) -> str:
    """NAME of the database in Django's settings."""
    if not URL:
        return str(folder / "portal.sqlite3")
    name = _name(folder)
    if name not in _made:
        _run("CREATE DATABASE {}", name)
        _made.add(name)
    return name


def copy(source: Path, target: Path) -> None:
    """After the folder was copied; nobody may be connected to its database."""
    if URL:
        _run("CREATE DATABASE {} TEMPLATE {}", _name(target), _name(source))
        _made.add(_name(target))


def copy_into_memory(source: Path) -> None:
    """Make Django's default connection one to a copy in memory of this folder's SQLite database.

    As Django's own test runner does, only that no migration runs. `immutable` makes no file beside the
    source, which another worker may be copying just then.
    """
    connection.close()
    name = "file:memorydb_default?mode=memory&cache=shared"
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name
    connection.ensure_connection()
    address = f"{source.joinpath('portal.sqlite3').resolve().as_uri()}?immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as migrated:
        migrated.backup(connection.connection)


def every_value() -> str:
    """Each value of each row of the portal, to be searched for what may not be there."""
    return repr([list(model._default_manager.values_list()) for model in apps.get_models()])


def drop(folder: Path) -> None:
    """Before the folder is removed."""
    if _name(folder) in _made:
        _made.remove(_name(folder))
        _run("DROP DATABASE {} WITH (FORCE)", _name(folder))


def drop_all() -> None:
    while _made:
        _run("DROP DATABASE {} WITH (FORCE)", _made.pop())


def _name(folder: Path) -> str:
    return f"test_portal_{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}"


def _url(name: str) -> str:
    return urlsplit(URL)._replace(path=f"/{name}").geturl()


def _run(statement: str, *names: str) -> None:
    with psycopg.connect(URL, autocommit=True) as connection:
        connection.execute(SQL(statement).format(*map(Identifier, names)))
