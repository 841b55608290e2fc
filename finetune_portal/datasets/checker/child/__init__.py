"""The limited child of sandbox.py: a program for each command, so that it loads no more than it needs.

    python -m finetune_portal.datasets.checker.child.check LIMITS ZIP < seen.json
    python -m finetune_portal.datasets.checker.child.repair LIMITS ZIP TARGET < changes.json
    python -m finetune_portal.datasets.checker.child.pictures LIMITS < tasks.json

LIMITS are bytes of memory, seconds of CPU and bytes of output. Each prints its results as lines of JSON, as
soon as they are there. No Django.
"""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from finetune_portal.storage.room import Room

TOO_MUCH_MEMORY = "The ZIP needs too much memory to check. Use fewer or smaller pictures."


def run(command: Callable[..., Iterator[Any]]) -> None:
    """Limit this process, then call the command with its task and the paths of the command line."""
    memory, cpu, output, *paths = sys.argv[1:]
    _limit(int(memory), int(cpu), int(output))
    gc.disable()  # the process ends after one task; collecting among 20,000 members costs more than it frees
    for result in command(json.load(sys.stdin), *map(Path, paths)):
        sys.stdout.write(f"{json.dumps(result)}\n")
        sys.stdout.flush()


def _limit(memory: int, cpu: int, output: int) -> None:
    """Limit this process from here on. A system that lacks one of the limits, such as macOS, goes without."""
    for kind, soft, hard in (
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_CPU, cpu, cpu + 1),  # so that the signal tells it from one that others ended
        (resource.RLIMIT_FSIZE, output, output),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (soft, hard))


def room_of(task: dict[str, Any]) -> Room | None:
    """The room that this process may take on the disk for what it writes."""
    if task["room"] is None:
        return None
    lock, floor = task["room"]
    return Room(Path(lock), floor)
