"""Check and repair ZIPs, and decode and make pictures, in a child process with limits.

So a hostile file ends only that process.

The child imports no Django, has an empty environment, and writes its result to a file of limited size.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_portal.datasets.checker import inspect
from finetune_portal.datasets.checker.messages import ZipRejectedError
from finetune_portal.datasets.checker.pictures import PictureTask

log = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[3]
CHILD = (sys.executable, "-m", "finetune_portal.datasets.checker.sandbox_child")
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
WRITTEN = ("webp", "png", "jpeg")


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
        return _run("check", path, limits=limits, stdin=stdin)
    except ZipRejectedError as exc:
        return refused(path, str(exc))


def refused(path: Path, sentence: str) -> dict[str, Any]:
    """The outcome for a file of which no more is checked."""
    verdict = inspect.rejected(sentence, path.stat().st_size).as_json()
    return {"verdict": verdict, "seen": {}, "done": 0, "total": 0}


def repair_zip(
    source: Path,
    target: Path,
    captions: dict[str, str] | None = None,
    limits: Limits = REPAIR_LIMITS,
    *,
    is_swapped: bool = False,
    words: dict[str, str] | None = None,
) -> None:
    """Write a repaired copy, as `repair.repair` does. Raises ZipRejectedError and leaves no file."""
    changes = {"captions": captions or {}, "is_swapped": is_swapped, "words": words or {}}
    try:
        result = _run("repair", source, target, limits=limits, stdin=json.dumps(changes))
        if result["error"]:
            raise ZipRejectedError(result["error"])
    except ZipRejectedError:
        target.unlink(missing_ok=True)
        raise


def make_pictures(tasks: Sequence[PictureTask], seconds: float = PICTURE_SECONDS) -> list[str]:
    """Make plain copies of pictures, all of them or those that fit into the time; see `pictures.make_all`.

    A picture that ends the child is `broken`. Each stands at its target wholly or not at all.
    """
    drafts = [Path(task.target).with_name(f".{uuid.uuid4().hex}.part") for task in tasks]
    given = [task._replace(target=str(draft)) for task, draft in zip(tasks, drafts, strict=True)]
    try:
        result = _run(
            "pictures", limits=PICTURE_LIMITS, stdin=json.dumps({"tasks": given, "seconds": seconds})
        )
        outcomes = [str(outcome) for outcome in result["outcomes"]]
    except ZipRejectedError:
        outcomes = ["broken"] * len(tasks)
    for task, draft, outcome in zip(tasks, drafts, outcomes, strict=True):
        if outcome in WRITTEN:
            draft.replace(task.target)
        draft.unlink(missing_ok=True)
    return outcomes


def picture_format(content: bytes) -> str:
    """The format of a picture that can be decoded to its end, such as “PNG”; empty for anything else."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            return str(_run("format", Path(file.name), limits=PICTURE_LIMITS)["format"])
        except ZipRejectedError:
            return ""


def _run(command: str, *paths: Path, limits: Limits, stdin: str = "") -> dict[str, Any]:
    numbers = (str(limits.memory), str(limits.cpu), str(limits.output))
    arguments = [*CHILD, *numbers, command, *(str(path.resolve()) for path in paths)]
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        try:
            process = subprocess.run(  # nosec B603  # our own module
                arguments,
                cwd=ROOT,
                env={"PYTHONUTF8": "1"},
                input=stdin.encode(),
                stdout=stdout,
                stderr=stderr,
                timeout=limits.clock,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ZipRejectedError(f"Checking the ZIP took over {limits.clock:g} seconds. {ADVICE}") from None
        stderr.seek(0)
        stdout.seek(0)
        if process.returncode:
            raise ZipRejectedError(_reason(process.returncode, stderr.read(4_000)))
        return dict(json.load(stdout))


def _reason(status: int, stderr: bytes) -> str:
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"The ZIP takes too much time to check, so the check was stopped. {ADVICE}"
    log.error("The check of a ZIP ended with status %s: %s", status, stderr.decode(errors="replace"))
    return f"The ZIP broke the check. {ADVICE}"
