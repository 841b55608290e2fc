"""Looking into a ZIP in a process of its own, with limits: whatever a file does, only that process dies.

The child knows nothing of Django, gets no environment, and answers into a file that cannot grow beyond a cap.
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
from finetune_portal.datasets.checker.messages import Refused

log = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[3]
CHILD = (sys.executable, "-m", "finetune_portal.datasets.checker.sandbox_child")
SMALLER = "Use fewer or smaller pictures."


@dataclass(frozen=True)
class Limits:
    """Bytes of memory, seconds of CPU, bytes of a file that it writes, seconds on the clock."""

    memory: int = 512 * 1024**2
    cpu: int = 60
    output: int = 64 * 1024**2
    clock: float = 180.0


LIMITS = Limits()
REPAIR_LIMITS = Limits(cpu=240, output=20_000_000_000, clock=240.0)


def check(path: Path, limits: Limits = LIMITS) -> dict[str, Any]:
    """The verdict on the ZIP at `path`, as `Verdict.as_json` gives it. Never raises for a bad file."""
    try:
        verdict: dict[str, Any] = _run("check", path, limits=limits)
    except Refused as death:
        verdict = inspect.refused(str(death), path.stat().st_size).as_json()
    return verdict


def repair(
    source: Path, target: Path, captions: dict[str, str] | None = None, limits: Limits = REPAIR_LIMITS
) -> None:
    """`repair.with_captions` behind the same walls. Raises Refused, and then leaves no `target`."""
    try:
        answer = _run("repair", source, target, limits=limits, said=json.dumps(captions or {}))
        if answer["refusal"]:
            raise Refused(answer["refusal"])
    except Refused:
        target.unlink(missing_ok=True)
        raise


def _run(action: str, *paths: Path, limits: Limits, said: str = "") -> dict[str, Any]:
    numbers = (str(limits.memory), str(limits.cpu), str(limits.output))
    command = [*CHILD, *numbers, action, *(str(path.resolve()) for path in paths)]
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as trouble:
        try:
            done = subprocess.run(  # nosec B603  # our own module
                command,
                cwd=ROOT,
                env={"PYTHONUTF8": "1"},
                input=said.encode(),
                stdout=answer,
                stderr=trouble,
                timeout=limits.clock,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Refused(f"Looking into the ZIP took over {limits.clock:g} seconds. {SMALLER}") from None
        trouble.seek(0)
        answer.seek(0)
        if done.returncode:
            raise Refused(_why(done.returncode, trouble.read(4_000)))
        return dict(json.load(answer))


def _why(status: int, trouble: bytes) -> str:
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"The ZIP is too costly to look into, so the check was stopped. {SMALLER}"
    log.error("Looking into a ZIP ended with status %s: %s", status, trouble.decode(errors="replace"))
    return f"The ZIP broke the check. {SMALLER}"
