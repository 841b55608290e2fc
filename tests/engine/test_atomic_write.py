"""A file is written whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from finetune_portal.engine.atomic_write import write_atomically
from tests.running import ROOT

KILLED = """
import os, signal, sys
from pathlib import Path
from finetune_portal.engine.atomic_write import write_atomically

with write_atomically(Path(sys.argv[1])) as draft:
    draft.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "weights"
    with write_atomically(path) as draft:
        draft.write_bytes(b"first")
        assert not path.exists()
    with write_atomically(path) as draft:
        draft.write_bytes(b"sec")
        assert path.read_bytes() == b"first"
        with draft.open("ab") as file:
            file.write(b"ond")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_an_exception_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    with pytest.raises(FileNotFoundError), write_atomically(path) as draft:
        draft.with_name("missing").replace(draft)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_the_old_file_and_a_draft_that_the_next_start_deletes(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, timeout=60, check=False)
    assert path.read_bytes() == b"first"
    assert len(list(tmp_path.glob(".*.part"))) == 1
