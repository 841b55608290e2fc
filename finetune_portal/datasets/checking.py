"""Check a dataset in slices, so that a large one ends in a verdict and others get their turn.

A slice ends in a verdict, or it keeps what was seen in a file beside the ZIP and the counts in the row. A
worker that is killed loses the slice in hand. A file at a public address is downloaded first, also in slices.
"""

from __future__ import annotations

import json
from datetime import timedelta
from time import monotonic
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.connections import services as connections
from finetune_portal.datasets import checker, downloading, previews, remote
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.pair_images import most_inputs
from finetune_portal.datasets.transfer import schedule_transfer
from finetune_portal.queue.leases import held_by
from finetune_portal.storage import files
from finetune_portal.web.disk_full import DiskFullError

SLICE_SECONDS = 8.0
MAX_SECONDS = 600.0  # of work on one dataset, in all its slices
TOO_LONG = "The ZIP takes over ten minutes to check, so the check was stopped. Use fewer or smaller pictures."
FULL_PAUSE = timedelta(minutes=1)  # while the disk has no room for what was seen


def check(dataset: Dataset, seconds: float = SLICE_SECONDS) -> None:
    """Check the ZIP for about so many seconds, and store the verdict or the progress.

    The caller holds the lease.
    """
    if dataset.source_url and not dataset.is_fetched:
        try:
            is_whole = downloading.download(dataset)
        except remote.RemoteFileError as exc:
            files.delete(dataset.path)
            return _store_verdict(dataset, {"problems": [str(exc)], "warnings": [], "pairs": []})
        if not is_whole:
            return _continue_later(dataset)
        held_by(dataset).update(is_fetched=True)
        dataset.is_fetched = True
    work = _work_so_far(dataset)
    began = monotonic()
    outcome = checker.check_slice(dataset.path, work["seen"], seconds=seconds)
    worked = work["seconds"] + monotonic() - began
    if outcome["verdict"] is None and worked > MAX_SECONDS:
        outcome = checker.refused(dataset.path, TOO_LONG)
    if outcome["verdict"] is not None:
        return _store_verdict(dataset, outcome["verdict"])
    seen = json.dumps({"seen": outcome["seen"], "seconds": worked}).encode()
    try:
        with files.write_atomically(dataset.seen_path, len(seen)) as file:
            file.write(seen)
    except DiskFullError:  # the slice is checked again when there is room
        return _continue_later(dataset, pause=FULL_PAUSE)
    return _continue_later(dataset, files_checked=outcome["done"], files_to_check=outcome["total"])


def _work_so_far(dataset: Dataset) -> dict[str, Any]:
    try:
        return dict(json.loads(dataset.seen_path.read_bytes()))
    except (OSError, ValueError):
        return {"seen": {}, "seconds": 0.0}


def _continue_later(dataset: Dataset, *, pause: timedelta = timedelta(), **fields: int) -> None:
    """Give the row back, behind the others that are due."""
    rows = held_by(dataset).filter(state=Dataset.State.CHECKING)
    rows.update(updated_at=now(), due_at=now() + pause, lease_expires_at=None, **fields)


def _store_verdict(dataset: Dataset, verdict: dict[str, Any]) -> None:
    state = Dataset.State.REJECTED if verdict["problems"] else Dataset.State.READY
    pairs = verdict["pairs"]
    counts = {"pair_count": len(pairs), "most_inputs": most_inputs(pairs), "files_checked": 0}
    fields = {"verdict": verdict, "state": state, **counts, "files_to_check": 0}
    with transaction.atomic():
        rows = held_by(dataset).filter(state=Dataset.State.CHECKING)
        is_stored = rows.update(updated_at=now(), lease_expires_at=None, **fields)
        if is_stored and pairs:
            dataset.state, dataset.verdict = state, verdict
            previews.request(dataset, 0, "small")
        if is_stored and state == Dataset.State.READY and not dataset.source_url:
            schedule_transfer(dataset, connections.default())
    files.delete(dataset.seen_path)
