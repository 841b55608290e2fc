"""Foreign pictures are decoded in a child that has limits on memory, CPU and output while it decodes."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from finetune_portal.datasets import checker, sample
from finetune_portal.datasets.checker import Limits, PictureTask, sandbox
from finetune_portal.storage.room import Room
from finetune_portal.web.disk_full import DiskFullError
from tests import draw_sample
from tests.datasets.corpus.zip_builder import dataset, packed, picture
from tests.pictures import transparent_png

NAMES = ("address space", "cpu time", "file size")
TRIES = 20  # to look at a child before it ends


def limits_of_the_child() -> dict[str, int]:
    """The hard limits of the child that decodes now, by name; empty while it has none."""
    for child in Path("/proc/self/task").glob("*/children"):
        try:
            pids = child.read_text().split()
        except OSError:  # the thread ended since
            continue
        for pid in pids:
            try:
                is_ours = b"checker.child." in Path(f"/proc/{pid}/cmdline").read_bytes()
                lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
            except OSError:
                continue
            values = {line[4:26].strip(): line.split()[-2] for line in lines[1:]}
            if is_ours and all(values[name] != "unlimited" for name in NAMES):
                return {name: int(values[name]) for name in NAMES}
    return {}


def limits_during(running: Future[Any]) -> dict[str, int]:
    """The limits of its child; empty where this process looked at none, as on a busy machine it may."""
    limits: dict[str, int] = {}
    while not limits and not running.done():
        limits = limits_of_the_child()
    running.result()
    return limits


@pytest.mark.parametrize("command", ["check", "repair", "preview", "format"])
def test_the_child_has_limits_while_it_decodes(command: str, tmp_path: Path) -> None:
    source, alone, target = tmp_path / "pairs.zip", tmp_path / "huge.png", tmp_path / "made"
    alone.write_bytes(transparent_png(4000))
    source.write_bytes(packed(dataset(1) | {"01_end.png": transparent_png(4000)}))
    work = {
        "check": lambda: checker.check_zip(source),
        "repair": lambda: checker.repair_zip(source, target),
        "preview": lambda: checker.make_pictures([PictureTask(str(source), "01_end.png", str(target), 160)]),
        "format": lambda: checker.make_pictures([PictureTask(str(alone), "", "", 0, "format")]),
    }
    with ThreadPoolExecutor(1) as pool:
        limits = next(filter(None, (limits_during(pool.submit(work[command])) for _ in range(TRIES))))
    assert 0 < limits["address space"] <= 1024**3
    own = sandbox.REPAIR_LIMITS if command == "repair" else sandbox.LIMITS
    assert 0 < limits["cpu time"] <= own.cpu + 1
    assert 0 < limits["file size"] <= own.output


def test_a_picture_that_breaks_the_child_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "PICTURE_LIMITS", Limits(cpu=1))
    for number, content in enumerate((picture(), transparent_png(7000), picture())):
        (tmp_path / str(number)).write_bytes(content)
    tasks = [PictureTask(str(tmp_path / str(n)), "", str(tmp_path / f"{n}.webp"), 8000) for n in range(3)]
    assert checker.make_pictures(tasks, seconds=60) == ["webp", "broken", "later"]
    assert [path.name for path in tmp_path.glob("*.webp")] == ["0.webp"]


def test_who_is_ended_by_the_clock_says_nothing_of_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "PICTURE_LIMITS", Limits(clock=0.01))
    (tmp_path / "a.png").write_bytes(picture())
    assert checker.make_pictures([PictureTask(str(tmp_path / "a.png"), "", str(tmp_path / "b"), 9)]) == [
        "later"
    ]


def test_a_picture_for_which_the_disk_has_no_room_is_told_from_a_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "PICTURE_LIMITS", Limits(output=50))
    (tmp_path / "a.png").write_bytes(picture())
    task = PictureTask(str(tmp_path / "a.png"), "", str(tmp_path / "b"), 99)
    assert checker.make_pictures([task]) == ["unwritten"]
    assert {path.name for path in tmp_path.iterdir()} == {"a.png"}


def test_the_child_writes_nothing_below_the_floor(tmp_path: Path) -> None:
    full = Room(tmp_path / "room.lock", 2**60)
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "pairs.zip").write_bytes(packed(dataset(1)))
    task = PictureTask(str(tmp_path / "a.png"), "", str(tmp_path / "b"), 99)
    assert checker.make_pictures([task], room=full) == ["unwritten"]
    with pytest.raises(DiskFullError, match="has room for 0 bytes, and this needs"):
        checker.repair_zip(tmp_path / "pairs.zip", tmp_path / "repaired.zip", room=full)
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "pairs.zip", "room.lock"}


def test_the_sample_dataset_is_the_one_that_is_drawn() -> None:
    assert sample.make() == draw_sample.draw()
