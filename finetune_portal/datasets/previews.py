"""Small pictures of a dataset's pairs and of other files, which the worker makes.

Those of the first pairs are made after the check, others when a page first asks for them. A preview is a file
under DATA_DIR, an empty one where none can be made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.utils.timezone import now

from finetune_portal.datasets import checker, decoding
from finetune_portal.datasets.models import Dataset, PreviewBatch
from finetune_portal.datasets.pair_images import places_of
from finetune_portal.queue.leases import backoff, claim, held_by, renewing
from finetune_portal.storage import files

EDGES = {"small": 160, "large": 1024}
PAIRS_AT_ONCE = 12
LEASE = 15.0
State = Literal["made", "failed", "missing"]


def state_of(preview: Path) -> State:
    """Whether the preview is made, cannot be made, or is not there yet."""
    try:
        return "made" if preview.stat().st_size else "failed"
    except OSError:
        return "missing"


def path_of(dataset: Dataset, number: int, place: str, edge: str) -> Path:
    """Where the preview of an image of a pair lies, such as `start2`. `number` counts the pairs from 0."""
    return dataset.previews / f"{number}-{place}-{edge}.webp"


def rename_earlier(dataset: Dataset, number: int, place: str, edge: str) -> None:
    """Take over a preview from a release that named it by its member in the ZIP, which may be gone by now."""
    member = hashlib.sha256(dataset.pairs[number][place].encode()).hexdigest()[:24]
    with suppress(FileNotFoundError):
        files.move(dataset.previews / f"{member}-{edge}.webp", path_of(dataset, number, place, edge))


def size_of(pair: dict[str, Any], place: str, edge: str) -> tuple[int, int]:
    """The pixels of a preview, (width, height), which a placeholder takes as well."""
    width, height = pair.get(f"{place}_size") or (EDGES[edge], EDGES[edge])
    scale = min(1.0, EDGES[edge] / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def request(dataset: Dataset, number: int, edge: str) -> bool:
    """Have the previews of a pair made, small ones with those beside it. False if its file is gone."""
    pairs = dataset.pairs
    at_once = PAIRS_AT_ONCE if edge == "small" else 1
    first = number - number % at_once
    pictures = [
        (pairs[each][place], path_of(dataset, each, place, edge))
        for each in range(first, min(first + at_once, len(pairs)))
        for place in places_of(pairs[each])
    ]
    return dataset.has_file and request_all(dataset.path, pictures, EDGES[edge])


def request_large(dataset: Dataset, number: int) -> None:
    """Have the large previews of a pair made, and those of the next one, which is probably opened next."""
    for each, pair in list(enumerate(dataset.pairs))[number : number + 2]:
        paths = (path_of(dataset, each, place, "large") for place in places_of(pair))
        if any(state_of(path) == "missing" for path in paths):
            request(dataset, each, "large")


def request_all(source: Path, pictures: Sequence[tuple[str, Path]], edge: int) -> bool:
    """Have previews of one file made, each given by its member and its path. False if the file is gone."""
    if not source.is_file():
        return False
    root = Path(settings.DATA_DIR)
    named = [(member, str(preview.relative_to(root))) for member, preview in pictures]
    key = named[0][1]
    if not PreviewBatch.objects.filter(key=key).exists():  # a read first: a page asks for all its pictures
        batch = PreviewBatch(key=key, source=str(source.relative_to(root)), edge=edge, pictures=named)
        PreviewBatch.objects.bulk_create([batch], ignore_conflicts=True)
    return True


def make_next() -> bool:
    """Make some previews of the batch that waits longest. False if none waits."""
    batch = claim(PreviewBatch.objects.all(), seconds=LEASE)
    if batch is None:
        return False
    with renewing(batch, seconds=LEASE):
        outcomes = _make(batch)
    left = [outcome for outcome in outcomes if outcome in ("later", "unwritten")]
    if not left:
        held_by(batch).delete()
    elif len(left) < len(outcomes):
        held_by(batch).update(due_at=now(), attempts=0, lease_expires_at=None)  # behind the others
    else:
        held_by(batch).update(due_at=now() + backoff(batch.attempts), lease_expires_at=None)
    return True


def _make(batch: PreviewBatch) -> list[str]:
    """Make the missing previews that fit into a slice; the outcome of each. None where the file is gone."""
    root = Path(settings.DATA_DIR)
    source = root / batch.source
    pictures = [(member, root / preview) for member, preview in batch.pictures]
    missing = [(member, preview) for member, preview in pictures if not preview.exists()]
    if not missing or not source.is_file():
        return []
    files.make_folder(missing[0][1].parent)
    outcomes = decoding.make_pictures(
        [checker.PictureTask(str(source), member, str(preview), batch.edge) for member, preview in missing],
        seconds=decoding.SLICE_SECONDS,
    )
    for (_, preview), outcome in zip(missing, outcomes, strict=True):
        if outcome in checker.FAILURES:
            files.create(preview)
    if not source.is_file():  # deleted meanwhile
        files.delete(*(preview for _, preview in missing))
        return []
    return outcomes
