"""A file appears whole or not at all, and what a killed writer left is cleared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finetune_portal.storage import files

HALF = """
import os, signal, sys
from pathlib import Path
from finetune_portal.storage.files import write_atomically

with write_atomically(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_new_content_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "model.safetensors"
    for content in (b"first", b"second"):
        with files.write_atomically(path) as file:
            file.write(content)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def write_half(path: Path) -> None:
    with files.write_atomically(path) as file:
        file.write(b"half")
        raise ValueError("broken")


def test_an_error_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "below" / "sample.png"
    path.parent.mkdir()
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="broken"):
        write_half(path)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_killed_writer_leaves_the_old_content_and_its_draft_is_cleared_later(tmp_path: Path) -> None:
    path = tmp_path / "below" / "sample.png"
    path.parent.mkdir()
    path.write_bytes(b"old")
    killed = subprocess.run([sys.executable, "-c", HALF, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (draft,) = path.parent.glob(".*.part")

    files.clear_drafts(tmp_path)
    assert draft.exists(), "its writer could still be at work"
    long_ago = time.time() - files.ABANDONED_SECONDS - 1
    os.utime(draft, (long_ago, long_ago))
    files.clear_drafts(tmp_path)
    assert list(path.parent.iterdir()) == [path]
