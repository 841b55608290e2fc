"""Check a dataset in slices, so that a large one ends in a verdict and others get their turn.

A slice ends in a verdict, or it keeps what was seen in a file beside the ZIP and the counts in the row. A
worker that is killed loses the slice in hand. A file at a public address is downloaded first, also in slices.
"""

from __future__ import annotations

import json
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from finetune_portal.connections import services as connections
from finetune_portal.datasets import checker, remote
from finetune_portal.datasets.disk_space import disk_full_message
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.transfer import schedule_transfer
from finetune_portal.queue.leases import held_by
from finetune_portal.storage.files import write_atomically
from finetune_portal.web import outbound

SLICE_SECONDS = 8.0
MAX_SECONDS = 600.0  # of work on one dataset, in all its slices
TOO_LONG = "The ZIP takes over ten minutes to check, so the check was stopped. Use fewer or smaller pictures."
DOWNLOAD_SECONDS = 10.0
CHUNK = 4 * 1024 * 1024


def check(dataset: Dataset, seconds: float = SLICE_SECONDS) -> None:
    """Check the ZIP for about so many seconds, and store the verdict or the progress.

    The caller holds the lease.
    """
    if dataset.source_url and not dataset.is_fetched:
        try:
            is_whole = _download(dataset)
        except remote.RemoteFileError as exc:
            dataset.path.unlink(missing_ok=True)
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
    with write_atomically(dataset.seen_path) as file:
        file.write(json.dumps({"seen": outcome["seen"], "seconds": worked}).encode())
    return _continue_later(dataset, files_checked=outcome["done"], files_to_check=outcome["total"])


def _work_so_far(dataset: Dataset) -> dict[str, Any]:
    try:
        return dict(json.loads(dataset.seen_path.read_bytes()))
    except (OSError, ValueError):
        return {"seen": {}, "seconds": 0.0}


def _continue_later(dataset: Dataset, **fields: int) -> None:
    """Give the row back, behind the others that are due."""
    rows = held_by(dataset).filter(state=Dataset.State.CHECKING)
    rows.update(updated_at=now(), due_at=now(), lease_expires_at=None, **fields)


def _store_verdict(dataset: Dataset, verdict: dict[str, Any]) -> None:
    state = Dataset.State.REJECTED if verdict["problems"] else Dataset.State.READY
    fields = {"verdict": verdict, "state": state, "pair_count": len(verdict["pairs"])}
    with transaction.atomic():
        rows = held_by(dataset).filter(state=Dataset.State.CHECKING)
        counts = {"files_checked": 0, "files_to_check": 0}
        is_stored = rows.update(updated_at=now(), lease_expires_at=None, **fields, **counts)
        if is_stored and state == Dataset.State.READY and not dataset.source_url:
            schedule_transfer(dataset, connections.default())
    dataset.seen_path.unlink(missing_ok=True)


def _download(dataset: Dataset) -> bool:
    """Download more of the file at its public address. Whether it is whole. Raises RemoteFileError."""
    with outbound.within(6 * DOWNLOAD_SECONDS):
        file = remote.open_remote(dataset.source_url, max_bytes=settings.DATASET_MAX_BYTES)
        if dataset.size != file.size:  # the first slice, or another file since
            dataset.size, dataset.received = file.size, 0
        if sentence := disk_full_message(file.size - dataset.received):
            raise remote.RemoteFileError(sentence)
        dataset.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        dataset.path.touch(mode=0o600)
        deadline = monotonic() + DOWNLOAD_SECONDS
        with dataset.path.open("r+b") as target:
            target.truncate(dataset.received)
            target.seek(dataset.received)
            while dataset.received < file.size and monotonic() < deadline:
                dataset.received += target.write(file.read_at(dataset.received, CHUNK))
    held_by(dataset).update(size=dataset.size, received=dataset.received, updated_at=now())
    return dataset.is_whole
