"""Each process that may be started by itself makes what is for its owner only, whatever the mask was."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import ROOT

WEB = (
    "gunicorn",
    "--check-config",
    "--config",
    "python:finetune_portal.gunicorn",
    "finetune_portal.asgi:application",
)
ENGINE = ("finetune_portal.engine", "trainer")


@pytest.mark.parametrize("command", [WEB, ENGINE], ids=["web", "engine"])
def test_it_is_private_from_the_first_file_on(tmp_path: Path, command: tuple[str, ...]) -> None:
    """While the settings make the first secrets, too: gunicorn preloads the application."""
    data = tmp_path / "new" / "data"
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(data)},
        umask=0o022,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (data, *data.rglob("*"))}
    assert "secret-key" in {path.name for path in modes}
    assert not {path: oct(mode) for path, mode in modes.items() if mode & 0o077}
