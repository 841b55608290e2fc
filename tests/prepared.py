"""A data folder as `manage.py up` makes it before its children start: made once, copied for each program."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests import databases
from tests.running import ROOT


def lay_out(folder: Path) -> None:
    """Give a program that was never started a folder whose tables and packed static files are there.

    To read the settings alone makes a folder with secrets, and a restore one with a database.
    """
    if not any((folder / each).exists() for each in ("portal.sqlite3", "static")):
        shutil.copytree(_made(), folder, dirs_exist_ok=True)
        databases.copy(_made(), folder)


@cache
def _made() -> Path:
    top = Path(tempfile.mkdtemp(prefix="portal-prepared-"))
    atexit.register(shutil.rmtree, top, ignore_errors=True)
    folder = top / "data"
    folder.mkdir()
    for command in (["migrate"], ["collectstatic", "--noinput"]):
        run = [sys.executable, "manage.py", *command, "-v0"]
        subprocess.run(run, cwd=ROOT, env=databases.variables_of(folder), check=True)
    shutil.rmtree(folder / "secrets", ignore_errors=True)  # each program makes its own
    return folder
