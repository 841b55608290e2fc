"""Check or repair a ZIP inside the limits that sandbox.py sets. No Django here.

    python -m finetune_portal.datasets.checker.sandbox_child LIMITS check ZIP
    python -m finetune_portal.datasets.checker.sandbox_child LIMITS repair ZIP TARGET < captions.json

LIMITS are bytes of memory, seconds of CPU and bytes of output.
Both print JSON: the verdict, or why the ZIP cannot be repaired.
"""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import sys
from pathlib import Path
from typing import Any

from finetune_portal.datasets.checker import inspect, repair
from finetune_portal.datasets.checker.messages import Refused

TOO_MUCH_MEMORY = "The ZIP needs too much memory to look into. Use fewer or smaller pictures."


def main(arguments: list[str]) -> None:
    memory, cpu, output, action, *paths = arguments
    _limit(int(memory), int(cpu), int(output))
    gc.disable()  # it ends after one ZIP, and looking through its 20,000 members again and again takes time
    answer = (_check if action == "check" else _repair)(*map(Path, paths))
    sys.stdout.write(json.dumps(answer))


def _limit(memory: int, cpu: int, output: int) -> None:
    """From here on. A system that lacks one of the limits, as macOS does, goes without it."""
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, output),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def _check(path: Path) -> dict[str, Any]:
    try:
        return inspect.inspect(path).as_json()
    except MemoryError:
        return inspect.refused(TOO_MUCH_MEMORY, path.stat().st_size).as_json()


def _repair(source: Path, target: Path) -> dict[str, str]:
    try:
        repair.with_captions(source, target, json.load(sys.stdin))
    except MemoryError:
        return {"refusal": TOO_MUCH_MEMORY}
    except Refused as refusal:
        return {"refusal": str(refusal)}
    return {"refusal": ""}


if __name__ == "__main__":
    main(sys.argv[1:])
