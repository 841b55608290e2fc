"""Check and repair ZIPs, and decode and make pictures, in a child process with limits.

So a hostile file ends only that process.

The child imports no Django, has an empty environment, and writes its result to a file of limited size, in
memory where the system has such. It asks for room before it writes to the disk (storage/room.py).
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from finetune_portal.datasets.checker.messages import ZipRejectedError
from finetune_portal.datasets.checker.picture_task import PictureTask
from finetune_portal.datasets.checker.verdict import rejected
from finetune_portal.storage.room import Room
from finetune_portal.web.disk_full import DiskFullError

log = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[3]
CHILD = "finetune_portal.datasets.checker.child"
ADVICE = "Use fewer or smaller pictures."


@dataclass(frozen=True)
class Limits:
    """Bytes of memory, seconds of CPU, bytes of each file it writes, seconds on the clock."""

    memory: int = 1024**3
    cpu: int = 60
    output: int = 64 * 1024**2
    clock: float = 180.0


LIMITS = Limits()
REPAIR_LIMITS = Limits(cpu=1_200, output=20_000_000_000, clock=1_500.0)
SLICE_SECONDS = 8.0
PICTURE_LIMITS = Limits(cpu=30, clock=40.0)
PICTURE_SECONDS = 3.0


def check_zip(path: Path, limits: Limits = LIMITS) -> dict[str, Any]:
    """The verdict on the ZIP at `path`, as `Verdict.as_json` returns it. Never raises for a bad file."""
    outcome: dict[str, Any] = {"verdict": None, "seen": {}}
    while outcome["verdict"] is None:
        outcome = check_slice(path, outcome["seen"], limits)
    return dict(outcome["verdict"])


def check_slice(
    path: Path, seen: dict[str, Any], limits: Limits = LIMITS, seconds: float = SLICE_SECONDS
) -> dict[str, Any]:
    """Check for about so many seconds what is not `seen`, as the fields of `inspect.Slice`.

    Never raises for a bad file.
    """
    try:
        stdin = json.dumps({"seen": seen, "seconds": seconds})
        return _result("check", path, limits=limits, stdin=stdin)
    except ZipRejectedError as exc:
        return refused(path, str(exc))


def refused(path: Path, sentence: str) -> dict[str, Any]:
    """The outcome for a file of which no more is checked."""
    verdict = rejected(sentence, path.stat().st_size).as_json()
    return {"verdict": verdict, "seen": {}, "done": 0, "total": 0}


def repair_zip(
    source: Path,
    target: Path,
    captions: dict[str, str] | None = None,
    limits: Limits = REPAIR_LIMITS,
    *,
    is_swapped: bool = False,
    words: dict[str, str] | None = None,
    code_page: str = "",
    caption_page: str = "",
    room: Room | None = None,
) -> None:
    """Write a repaired copy, as `repair.repair` does.

    Raises ZipRejectedError and DiskFullError, and then leaves no file.
    """
    changes = {
        "captions": captions or {},
        "is_swapped": is_swapped,
        "words": words or {},
        "code_page": code_page,
        "caption_page": caption_page,
    }
    stdin = json.dumps({"changes": changes, "room": _as_json(room)})
    try:
        result = _result("repair", source, target, limits=limits, stdin=stdin)
        if result["error"]:
            raise ZipRejectedError(result["error"])
        if result["full"]:
            raise DiskFullError(*result["full"])
    except (ZipRejectedError, DiskFullError):
        target.unlink(missing_ok=True)
        raise


def make_pictures(
    tasks: Sequence[PictureTask], seconds: float = PICTURE_SECONDS, room: Room | None = None
) -> list[str]:
    """Make plain copies of pictures, all of them or those that fit into the time; see `pictures.make_all`.

    A picture that breaks the child is `broken`, and those behind it come `later`. Each stands at its target
    wholly or not at all.
    """
    stdin = json.dumps({"tasks": tasks, "seconds": seconds, "room": _as_json(room)})
    ended = _run("pictures", limits=PICTURE_LIMITS, stdin=stdin)
    outcomes = [str(outcome) for outcome in ended.results]
    if len(outcomes) < len(tasks) and not ended.was_interrupted:
        outcomes.append("broken")
    return outcomes + ["later"] * (len(tasks) - len(outcomes))


class _Ended(NamedTuple):
    """The child's exit status, None if the clock ran out; the results that it printed; its errors."""

    status: int | None
    results: list[Any]
    stderr: str

    @property
    def was_interrupted(self) -> bool:
        """Whether something other than its own limits ended it."""
        return self.status in (None, -signal.SIGKILL)


def _as_json(room: Room | None) -> tuple[str, int] | None:
    return (str(room.lock), room.floor) if room else None


def _result(command: str, *paths: Path, limits: Limits, stdin: str) -> dict[str, Any]:
    """The result of a command on a ZIP. Raises ZipRejectedError where the child broke."""
    ended = _run(command, *paths, limits=limits, stdin=stdin)
    if ended.status is None:
        raise ZipRejectedError(f"Checking the ZIP took over {limits.clock:g} seconds. {ADVICE}")
    if ended.status in (-signal.SIGXCPU, -signal.SIGKILL):
        raise ZipRejectedError(f"The ZIP takes too much time to check, so the check was stopped. {ADVICE}")
    if ended.status:
        log.error("The check of a ZIP ended with status %s: %s", ended.status, ended.stderr)
        raise ZipRejectedError(f"The ZIP broke the check. {ADVICE}")
    return dict(ended.results[0])


def _memory_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("result"), "w+b")
    return tempfile.TemporaryFile()


def _run(command: str, *paths: Path, limits: Limits, stdin: str = "") -> _Ended:
    numbers = (str(limits.memory), str(limits.cpu), str(limits.output))
    program = (sys.executable, "-m", f"{CHILD}.{command}")
    arguments = [*program, *numbers, *(str(path.resolve()) for path in paths)]
    with _memory_file() as stdout, _memory_file() as stderr:
        try:
            status: int | None = subprocess.run(  # nosec B603  # our own module
                arguments,
                cwd=ROOT,
                env={"PYTHONUTF8": "1"},
                input=stdin.encode(),
                stdout=stdout,
                stderr=stderr,
                timeout=limits.clock,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            status = None
        stdout.seek(0)
        stderr.seek(0)
        results = [json.loads(line) for line in stdout if line.endswith(b"\n")]
        return _Ended(status, results, stderr.read(4_000).decode(errors="replace"))
