"""Write a repaired copy of a ZIP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finetune_portal.datasets.checker import repair
from finetune_portal.datasets.checker.child import TOO_MUCH_MEMORY, room_of, run
from finetune_portal.datasets.checker.messages import ZipRejectedError
from finetune_portal.web.disk_full import DiskFullError


def write_copy(task: dict[str, Any], source: Path, target: Path) -> Iterator[dict[str, Any]]:
    """Yield why there is none: a sentence, or the bytes that are missing on the disk."""
    result: dict[str, Any] = {"error": "", "full": None}
    try:
        repair.repair(source, target, **task["changes"], room=room_of(task))
    except MemoryError:
        result["error"] = TOO_MUCH_MEMORY
    except ZipRejectedError as exc:
        result["error"] = str(exc)
    except DiskFullError as exc:
        result["full"] = (exc.needed, exc.left)
    yield result


if __name__ == "__main__":
    run(write_copy)
