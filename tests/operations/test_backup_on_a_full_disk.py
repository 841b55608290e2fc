"""A backup on the disk of DATA_DIR, and what it is restored to, leave the floor of the disk free."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from finetune_portal.operations import backups
from tests.storage.small_disk import MB, small_disk

pytestmark = pytest.mark.django_db
FLOOR = 30 * MB  # of 80 MB; 16 MiB above it are given to nobody


def fill(data: Path, *, files: int, database: int) -> None:
    """Write a dataset and the engine's database, of so many bytes."""
    for path in (data / "datasets" / "1.zip", data / "engine" / "engine.sqlite3"):
        path.parent.mkdir(parents=True)
    (data / "datasets" / "1.zip").write_bytes(os.urandom(files))
    with closing(sqlite3.connect(data / "engine" / "engine.sqlite3")) as engine:
        engine.execute("CREATE TABLE t (content BLOB)")
        engine.execute("INSERT INTO t VALUES (?)", (os.urandom(database),))
        engine.commit()


@pytest.mark.parametrize(
    ("files", "database"), [(20 * MB, 1000), (MB, 12 * MB)], ids=["announced", "copy of a database"]
)
def test_one_without_room_is_refused_and_leaves_nothing(
    files: int, database: int, tmp_path: Path, settings: Any
) -> None:
    with small_disk(tmp_path / "disk", 80 * MB) as is_mounted:
        if not is_mounted:
            pytest.skip("only root can mount a small disk")
        settings.DATA_DIR, settings.DISK_FLOOR_BYTES = tmp_path / "disk" / "data", FLOOR
        fill(settings.DATA_DIR, files=files, database=database)
        with pytest.raises(backups.BackupError, match="has room for"):
            backups.make(tmp_path / "disk" / "b.tar")
        assert list((tmp_path / "disk").iterdir()) == [settings.DATA_DIR]

        backups.make(tmp_path / "b.tar")  # another disk, which has no floor
        assert (tmp_path / "b.tar").stat().st_size > files


def test_one_is_not_restored_below_the_floor(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path / "data"
    fill(settings.DATA_DIR, files=MB, database=1000)
    backups.make(tmp_path / "b.tar")
    settings.DATA_DIR, settings.DISK_FLOOR_BYTES = tmp_path / "again", 2**60
    with pytest.raises(backups.BackupError, match="has room for 0 bytes"):
        backups.restore(tmp_path / "b.tar")
