"""Check what was not seen yet of a ZIP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finetune_portal.datasets.checker.child import TOO_MUCH_MEMORY, run
from finetune_portal.datasets.checker.inspect import Slice, inspect_slice
from finetune_portal.datasets.checker.verdict import rejected


def check(task: dict[str, Any], path: Path) -> Iterator[dict[str, Any]]:
    """Yield the fields of a Slice, with the verdict as JSON."""
    try:
        outcome = inspect_slice(path, task["seen"], task["seconds"])
    except MemoryError:
        outcome = Slice(rejected(TOO_MUCH_MEMORY, path.stat().st_size), {}, 0, 0)
    verdict = outcome.verdict.as_json() if outcome.verdict else None
    yield {**outcome._asdict(), "verdict": verdict}


if __name__ == "__main__":
    run(check)
