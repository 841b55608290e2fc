"""Check or repair a ZIP inside the limits that sandbox.py sets. No Django.

    python -m finetune_portal.datasets.checker.sandbox_child LIMITS check ZIP < seen.json
    python -m finetune_portal.datasets.checker.sandbox_child LIMITS repair ZIP TARGET < changes.json
    python -m finetune_portal.datasets.checker.sandbox_child LIMITS pictures < tasks.json
    python -m finetune_portal.datasets.checker.sandbox_child LIMITS format PICTURE

LIMITS are bytes of memory, seconds of CPU and bytes of output. Prints JSON: the verdict of the check, or why
the ZIP cannot be repaired, or what became of each picture, or the format of a picture.
"""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finetune_portal.datasets.checker import images, inspect, pictures, repair
from finetune_portal.datasets.checker.messages import ZipRejectedError

TOO_MUCH_MEMORY = "The ZIP needs too much memory to check. Use fewer or smaller pictures."


def main(arguments: list[str]) -> None:
    memory, cpu, output, command, *paths = arguments
    _limit(int(memory), int(cpu), int(output))
    gc.disable()  # the process ends after one ZIP; collecting among 20,000 members costs more than it frees
    result = COMMANDS[command](*map(Path, paths))
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
    task = json.load(sys.stdin)
    try:
        outcome = inspect.inspect_slice(path, task["seen"], task["seconds"])
    except MemoryError:
        rejected = inspect.rejected(TOO_MUCH_MEMORY, path.stat().st_size)
        outcome = inspect.Slice(rejected, {}, 0, 0)
    verdict = outcome.verdict.as_json() if outcome.verdict else None
    return {**outcome._asdict(), "verdict": verdict}


def _repair(source: Path, target: Path) -> dict[str, str]:
    try:
        repair.repair(source, target, **json.load(sys.stdin))
    except MemoryError:
        return {"error": TOO_MUCH_MEMORY}
    except ZipRejectedError as exc:
        return {"error": str(exc)}
    return {"error": ""}


def _pictures() -> dict[str, list[str]]:
    given = json.load(sys.stdin)
    tasks = [pictures.PictureTask(*task) for task in given["tasks"]]
    return {"outcomes": pictures.make_all(tasks, given["seconds"])}


def _format(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            return {"format": images.inspect_image(file).format}
    except images.UnusableImageError:
        return {"format": ""}


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {
    "check": _check,
    "repair": _repair,
    "pictures": _pictures,
    "format": _format,
}

if __name__ == "__main__":
    main(sys.argv[1:])
