"""Check and repair ZIPs in a child process with limits, so that a hostile file ends only that process.

The child imports no Django, has an empty environment, and writes its result to a file of limited size.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_portal.datasets.checker import inspect
from finetune_portal.datasets.checker.messages import ZipRejectedError

log = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[3]
CHILD = (sys.executable, "-m", "finetune_portal.datasets.checker.sandbox_child")
ADVICE = "Use fewer or smaller pictures."


@dataclass(frozen=True)
class Limits:
    """Bytes of memory, seconds of CPU, bytes of each file it writes, seconds on the clock."""

    memory: int = 512 * 1024**2
    cpu: int = 60
    output: int = 64 * 1024**2
    clock: float = 180.0


LIMITS = Limits()
REPAIR_LIMITS = Limits(cpu=240, output=20_000_000_000, clock=240.0)


def check_zip(path: Path, limits: Limits = LIMITS) -> dict[str, Any]:
    """The verdict on the ZIP at `path`, as `Verdict.as_json` returns it. Never raises for a bad file."""
    try:
        verdict: dict[str, Any] = _run("check", path, limits=limits)
    except ZipRejectedError as exc:
        verdict = inspect.rejected(str(exc), path.stat().st_size).as_json()
    return verdict


def repair_zip(
    source: Path, target: Path, captions: dict[str, str] | None = None, limits: Limits = REPAIR_LIMITS
) -> None:
    """Write a repaired copy with new captions (index to text). Raises ZipRejectedError and leaves no file."""
    try:
        result = _run("repair", source, target, limits=limits, stdin=json.dumps(captions or {}))
        if result["error"]:
            raise ZipRejectedError(result["error"])
    except ZipRejectedError:
        target.unlink(missing_ok=True)
        raise


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
