"""Make plain copies of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune_portal.datasets.checker.child import room_of, run
from finetune_portal.datasets.checker.picture_task import PictureTask
from finetune_portal.datasets.checker.pictures import make_all


def make(task: dict[str, Any]) -> Iterator[str]:
    """Yield the outcome of each picture."""
    tasks = (PictureTask(*each) for each in task["tasks"])
    yield from make_all(tasks, task["seconds"], room_of(task))


if __name__ == "__main__":
    run(make)
