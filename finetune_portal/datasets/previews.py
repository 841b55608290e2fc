"""Make small pictures of a dataset's pairs when a page first shows them, and keep them beside the data.

The pictures are decoded in the checker's limited child, a dozen pairs at once.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from finetune_portal.datasets import checker
from finetune_portal.datasets.models import Dataset

# Browsers show the body of a 404, too; without one they draw a broken picture.
MISSING = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 160" width="160" height="160" fill="none" '
    b'stroke="#8b939b" stroke-width="3" stroke-linejoin="round"><rect x="62" y="64" width="36" height="32" '
    b'rx="4"/><path d="m63 90 11-11 8 8 5-5 10 10M86 73h.1M56 104l48-48"/></svg>'
)
EDGES = {"small": 160, "large": 1024}
PAIRS_AT_ONCE = 12


def preview(dataset: Dataset, number: int, half: str, edge: str) -> Path | None:
    """A WebP of a half of a pair, at most EDGES[edge] pixels wide and high; None if it cannot be made.

    `number` counts the pairs from 0. The previews of its neighbours are made with it.
    """
    pairs = dataset.pairs
    path = _preview_path(dataset, pairs[number][half], edge)
    if path.exists() or not dataset.has_file:
        return path if path.exists() else None
    first = number - number % PAIRS_AT_ONCE
    beside = pairs[first : first + PAIRS_AT_ONCE] if edge == "small" else [pairs[number]]
    members = [pairs[number][half], *(pair[each] for pair in beside for each in ("start", "end"))]
    targets = {member: _preview_path(dataset, member, edge) for member in members}
    tasks = [(str(dataset.path), member, target) for member, target in targets.items()]
    make_previews(tasks, EDGES[edge])
    return path if path.exists() else None


def make_previews(sources: Sequence[tuple[str, str, Path]], edge: int) -> None:
    """Make the previews that are missing, the first in any case.

    Each source is a path, a member if it is a ZIP, and the preview's own path; all go into one folder.
    """
    folder = sources[0][2].parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(folder):  # a page asks for all its pictures at once
        tasks = [
            checker.PictureTask(source, member, str(target), edge)
            for source, member, target in sources
            if not target.exists()
        ]
        if tasks and tasks[0].target == str(sources[0][2]):
            checker.make_pictures(tasks)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _preview_path(dataset: Dataset, member: str, edge: str) -> Path:
    name = hashlib.sha256(member.encode()).hexdigest()[:24]
    return dataset.previews / f"{name}-{edge}.webp"
