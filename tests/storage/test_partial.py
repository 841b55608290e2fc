"""A file that arrives in several tries is whole, hashed once, and has one writer at a time."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune_portal.storage.partial import FileBusyError, PartialFile, partial_path, sha256_of
from finetune_portal.web.disk_full import DiskFullError

FIRST, SECOND = b"a" * 3_000_000, b"b" * 10
SHA256 = hashlib.sha256(FIRST + SECOND).hexdigest()
KILLED = """
import os, signal, sys
from pathlib import Path
import django
django.setup()
from finetune_portal.storage.partial import PartialFile

partial = PartialFile(Path(sys.argv[1]), 0)
partial.announce(9_000_000)
partial.write(b"a" * 3_000_000)
partial.sync()
partial.write(b"more that no row says")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "models" / "a.safetensors"
    with PartialFile(path, 0) as partial:
        partial.announce(len(FIRST + SECOND))
        partial.write(FIRST)
        assert not path.exists()
        partial.write(SECOND)
        assert partial.finish() == SHA256
    assert list(path.parent.iterdir()) == [path]
    assert (sha256_of(path), path.stat().st_mode & 0o777) == (SHA256, 0o600)


def test_the_next_process_goes_on_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "models" / "a.safetensors"
    environment = {
        **os.environ,
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "finetune_portal.settings",
    }
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    with PartialFile(path, len(FIRST)) as partial:
        assert partial.received == len(FIRST)
        partial.write(SECOND)
        assert partial.finish() == SHA256
    assert path.read_bytes() == FIRST + SECOND


def test_nothing_is_taken_for_granted(tmp_path: Path) -> None:
    """The row says more than the disk has, or the file was whole already and only its name is missing."""
    path = tmp_path / "a.safetensors"
    with PartialFile(path, 77) as partial:
        assert partial.received == 0
        partial.write(FIRST + SECOND)
    with PartialFile(path, len(FIRST + SECOND)) as partial:
        assert partial.finish() == SHA256
    assert path.read_bytes() == FIRST + SECOND


def test_it_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with PartialFile(path, 0) as partial:
        partial.write(b"of another version, and longer" * 1000)
        partial.restart()
        partial.write(SECOND)
        assert partial.finish() == hashlib.sha256(SECOND).hexdigest()
    assert path.read_bytes() == SECOND


def test_there_is_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with PartialFile(path, 0), pytest.raises(FileBusyError):
        PartialFile(path, 0)
    with PartialFile(path, 0):
        assert partial_path(path).exists()


def test_without_room_it_keeps_what_it_has(tmp_path: Path, settings: Any) -> None:
    path = tmp_path / "a.safetensors"
    with PartialFile(path, 0) as partial:
        partial.write(FIRST)
    settings.DISK_FLOOR_BYTES = 2**60
    with PartialFile(path, len(FIRST)) as partial:
        with pytest.raises(DiskFullError):
            partial.announce(2 * len(FIRST))
        assert partial.received == len(FIRST)
    settings.DISK_FLOOR_BYTES = 0
    with PartialFile(path, len(FIRST)) as partial:
        partial.write(SECOND)
        assert partial.finish() == SHA256
