"""Check or repair a ZIP inside the limits that sandbox.py sets. No Django.

    python -m finetune_portal.datasets.checker.sandbox_child LIMITS check ZIP
    python -m finetune_portal.datasets.checker.sandbox_child LIMITS repair ZIP TARGET < captions.json

LIMITS are bytes of memory, seconds of CPU and bytes of output. Prints JSON: the verdict of the check, or why
the ZIP cannot be repaired.
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
from finetune_portal.datasets.checker.messages import ZipRejectedError

TOO_MUCH_MEMORY = "The ZIP needs too much memory to check. Use fewer or smaller pictures."


def main(arguments: list[str]) -> None:
    memory, cpu, output, command, *paths = arguments
    _limit(int(memory), int(cpu), int(output))
    gc.disable()  # the process ends after one ZIP; collecting among 20,000 members costs more than it frees
    result = (_check if command == "check" else _repair)(*map(Path, paths))
    sys.stdout.write(json.dumps(result))


def _limit(memory: int, cpu: int, output: int) -> None:
    """Limit this process from here on. A system that lacks one of the limits, such as macOS, goes without."""
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
        return inspect.inspect_zip(path).as_json()
    except MemoryError:
        return inspect.rejected(TOO_MUCH_MEMORY, path.stat().st_size).as_json()


def _repair(source: Path, target: Path) -> dict[str, str]:
    try:
        repair.repair(source, target, json.load(sys.stdin))
    except MemoryError:
        return {"error": TOO_MUCH_MEMORY}
    except ZipRejectedError as exc:
        return {"error": str(exc)}
    return {"error": ""}


if __name__ == "__main__":
    main(sys.argv[1:])
