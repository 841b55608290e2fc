"""The floor of the disk stays free, whoever writes at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from finetune_portal.storage.room import MARGIN, STEP, Room, RoomFile
from finetune_portal.web.disk_full import DiskFullError
from tests.storage.small_disk import MB, small_disk
from tests.waiting import PATIENCE

FLOOR = 40 * MB
WRITERS, ROUNDS, SIZE = 8, 10, 300_000
# Fills the disk with files of its number, of a size that nobody knows or of an announced one, deletes them,
# and does so again.
WRITER = """
import sys
from pathlib import Path
from finetune_portal.storage.room import Room, RoomFile
from finetune_portal.web.disk_full import DiskFullError

number, folder, floor, announced, rounds = int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
room = Room(folder / "room.lock", floor)
print("ready", flush=True)
sys.stdin.read()
full = 0
for turn in range(rounds):
    mine = []
    while True:
        mine.append(folder / f"{number}-{turn}-{len(mine)}")
        mine[-1].touch()
        try:
            with RoomFile(mine[-1], room, announced=announced) as file:
                file.write(bytes([number]) * SIZE)
                file.trim()
        except DiskFullError:
            full += 1
            break
    if turn < rounds - 1:
        for path in mine:
            path.unlink()
print(full)
""".replace("SIZE", str(SIZE))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    with small_disk(folder, 70 * MB) as is_mounted:
        if not is_mounted:
            pytest.skip("only root can mount a small disk")
        yield folder


def free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


@pytest.mark.parametrize("announced", [0, SIZE])
def test_writers_at_once_never_go_below_the_floor(disk: Path, announced: int) -> None:
    arguments = [str(disk), str(FLOOR), str(announced), str(ROUNDS)]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(1, WRITERS + 1)
    ]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    least, is_over = [free(disk)], threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            least[0] = min(least[0], free(disk))

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = [writer.communicate("", timeout=180 * PATIENCE)[0] for writer in writers]
    is_over.set()
    watcher.join()
    least[0] = min(least[0], free(disk))

    assert said == [f"{ROUNDS}\n"] * WRITERS, "each writer ends, with all its rounds counted"
    assert FLOOR + MARGIN <= least[0] < FLOOR + MARGIN + 2 * STEP, "and all above it is used"
    whole = [path for path in disk.glob("*-*") if path.stat().st_size == SIZE]
    assert len(whole) > 10
    for path in whole:
        assert set(path.read_bytes()) == {int(path.name.split("-")[0])}


def test_who_takes_room_waits_for_who_is_at_it(disk: Path) -> None:
    """What one found free is given to no other before it is taken."""
    ledger = Room(disk / "room.lock", FLOOR)
    for name in ("first", "second"):
        (disk / name).touch()
    with ThreadPoolExecutor(1) as other:
        with ledger.held(0) as left:
            second = other.submit(RoomFile, disk / "second", ledger, announced=MB)
            with pytest.raises(TimeoutError):
                second.result(0.2)
            (disk / "first").write_bytes(bytes(left))
        with pytest.raises(DiskFullError):
            second.result(60)


def test_what_is_announced_is_taken_at_once_and_given_back(disk: Path) -> None:
    ledger, before = Room(disk / "room.lock", FLOOR), free(disk)
    (disk / "draft").touch()
    with RoomFile(disk / "draft", ledger, announced=10 * MB) as file:
        assert free(disk) <= before - 10 * MB
        with pytest.raises(DiskFullError, match="has room for"):
            ledger.require(10 * MB)
        file.write(b"short")
        file.trim()
    assert free(disk) > before - MB
    assert (disk / "draft").read_bytes() == b"short"


def test_a_writer_without_room_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with RoomFile(path, Room(tmp_path / "room.lock", 2**60)) as file:
        assert file.write(b"new") == 3, "it has that room"
        with pytest.raises(DiskFullError, match=r"room for 0 bytes, and this needs \d"):
            file.write(b"more")
        assert file.write(b"") == 0
    assert path.read_bytes() == b"new"


def test_where_the_system_cannot_allocate_zeros_are_written(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "posix_fallocate")
    before = free(disk)
    (disk / "draft").write_bytes(b"kept")
    RoomFile(disk / "draft", Room(disk / "room.lock", FLOOR), announced=5 * MB).close()
    assert free(disk) <= before - 5 * MB
    assert (disk / "draft").read_bytes() == b"kept" + bytes(5 * MB - 4)
