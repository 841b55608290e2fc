"""What runs inside the limits of `check_process`; no Django here.

    python -m finetune_portal.datasets.check_child MEMORY CPU OUTPUT check ZIP
    python -m finetune_portal.datasets.check_child MEMORY CPU OUTPUT repair ZIP TARGET < captions.json

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

from finetune_portal.datasets import archive, repair
from finetune_portal.datasets.sentences import Refused

TOO_MUCH_MEMORY = "The ZIP needs too much memory to look into. Use fewer or smaller pictures."


def main(arguments: list[str]) -> None:
    memory, cpu, output, deed, *paths = arguments
    _limit(int(memory), int(cpu), int(output))
    gc.disable()  # it ends after one ZIP, and looking through its 20,000 members again and again takes time
    answer = (_check if deed == "check" else _repair)(*map(Path, paths))
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
        return archive.inspect(path).as_json()
    except MemoryError:
        return archive.refused(TOO_MUCH_MEMORY, path.stat().st_size).as_json()


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
