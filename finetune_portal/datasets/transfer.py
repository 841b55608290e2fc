"""Transfer a dataset's ZIP to the storage of each provider that needs it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, cast

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import closing, declared, rate_limit
from finetune_portal.connections.client import adapter_for
from finetune_portal.connections.models import SEGMIND, Connection
from finetune_portal.datasets import checker
from finetune_portal.datasets.growing_file import GrowingFile, UploadStalledError
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.providers.errors import (
    CallError,
    RequestRejectedError,
    StorageError,
    TrainingClosedError,
)
from finetune_portal.queue.leases import backoff, held_by, renewing
from finetune_portal.storage import files
from finetune_portal.web.disk_full import DiskFullError
from finetune_portal.web.errors import ActionError

log = logging.getLogger(__name__)
LEASE = 15.0
FILE_MISSING = "The file is no longer on the portal's disk. Upload it again."
ACTIVE_WITHIN = timedelta(seconds=5)
FRESH = timedelta(hours=1)  # what a provider does not take that soon is not helped by the same file again
MAX_REFUSALS = 5  # of fresh URLs in a row, within about a minute


class OtherBytesError(Exception):
    """The storage has other bytes than the file."""

    def __str__(self) -> str:
        return "The storage received different bytes than the portal sent."


LASTING = (FileNotFoundError, checker.ZipRejectedError)
TRANSFER_ERRORS = (*LASTING, CallError, UploadStalledError, OtherBytesError, DiskFullError)


def schedule_transfer(dataset: Dataset, connection: Connection) -> None:
    """Have the worker transfer the file to the provider, unless it has done so or is about to."""
    Transfer.objects.get_or_create(dataset=dataset, connection=connection)


def transfer_next() -> bool:
    """Transfer the file that has been due longest. False when none is due or no call is left."""
    transfer = rate_limit.claim_with_call(
        _due(), Connection.objects.in_use(), reserve=rate_limit.TRANSFER, seconds=LEASE
    )
    if transfer is None:
        return False
    with renewing(transfer, seconds=LEASE):
        _transfer(transfer)
    return True


def _due() -> QuerySet[Transfer]:
    """Transfers of checked files; to Segmind also of whole files, and of large ones that still come in."""
    checked = Q(dataset__state=Dataset.State.READY)
    to_segmind = Q(connection__provider=SEGMIND)
    whole = Q(dataset__state=Dataset.State.CHECKING) & to_segmind
    active = Q(dataset__updated_at__gt=now() - ACTIVE_WITHIN)
    uploading = Q(dataset__state=Dataset.State.RECEIVING, attempts=0) & active & to_segmind
    rows = Transfer.objects.filter(checked | whole | uploading, finished_at=None, failed_at=None)
    return rows.select_related("dataset", "connection")


def _transfer(transfer: Transfer) -> None:
    """Upload the file to the provider's storage, or schedule a retry. The caller holds the lease."""
    dataset = transfer.dataset

    def progress(sent: int) -> None:
        held_by(transfer).update(bytes_sent=min(sent, dataset.size))

    try:
        put = _put if declared.reads_growing_files(transfer.connection) else _put_plain
        address, digests = put(transfer, progress)
    except TRANSFER_ERRORS as exc:
        _handle_error(transfer, exc)
        return
    result = {"s3_url": address, "bytes_sent": dataset.size, "error": ""}
    with transaction.atomic():
        if held_by(transfer).update(finished_at=now(), lease_expires_at=None, **result):
            Dataset.objects.filter(pk=dataset.pk).update(updated_at=now(), **digests)


def _put(transfer: Transfer, progress: Callable[[int], None]) -> tuple[str, dict[str, str]]:
    """Upload the file as it is to a fresh presigned URL; return its address and digests."""
    dataset = transfer.dataset
    with GrowingFile(dataset) as file, adapter_for(transfer.connection) as adapter:
        stored = adapter.put_dataset(f"{dataset.key}.zip", cast(BinaryIO, file), dataset.size, progress)
    if stored.md5 and stored.md5 != file.digests["md5"]:
        raise OtherBytesError
    return stored.address, file.digests


def _put_plain(transfer: Transfer, progress: Callable[[int], None]) -> tuple[str, dict[str, str]]:
    """Upload the pairs in the plain layout, which every provider reads; return the address and no digests."""
    dataset = transfer.dataset
    with _plain_copy(dataset) as path, path.open("rb") as file, adapter_for(transfer.connection) as adapter:
        stored = adapter.put_dataset(f"{dataset.key}.zip", file, path.stat().st_size, progress)
    return stored.address, {}


@contextmanager
def _plain_copy(dataset: Dataset) -> Iterator[Path]:
    """The file itself, or where the check offers a repair a repaired copy that lasts for the block."""
    if not dataset.repairs:
        yield dataset.path
        return
    with files.draft() as draft:
        checker.repair_zip(dataset.path, draft, room=files.room())
        yield draft


def _handle_error(transfer: Transfer, exc: Exception) -> None:
    """Schedule a retry, or give up what no retry can change. The caller holds the lease."""
    refusals = transfer.refusals + 1 if _is_refusal(exc) else 0
    due_at, failed_at = now() + backoff(transfer.attempts), None
    error = FILE_MISSING if isinstance(exc, FileNotFoundError) else str(exc)
    if isinstance(exc, TrainingClosedError):
        closing.note_closed(transfer.connection, exc.message)
        transfer.connection.refresh_from_db(fields=["probe_at"])
        due_at = transfer.connection.probe_at or due_at
    elif isinstance(exc, LASTING) or _is_lasting(exc) or refusals >= MAX_REFUSALS:
        failed_at = now()
        error = f"{error} {exc.advice}" if isinstance(exc, StorageError) else error
    elif isinstance(exc, StorageError):
        error = f"{error} The portal tries again with a new address."
    else:
        error = f"{error} The portal tries again by itself."
    if isinstance(exc, StorageError):
        log.warning("The storage refused dataset %s: %s", transfer.dataset.key, exc.detail)
    fields = {"error": error[:500], "refusals": refusals, "failed_at": failed_at, "due_at": due_at}
    with transaction.atomic():
        if held_by(transfer).update(bytes_sent=0, lease_expires_at=None, **fields) and failed_at:
            Dataset.objects.filter(pk=transfer.dataset_id).update(updated_at=now())


def _is_lasting(exc: Exception) -> bool:
    return isinstance(exc, StorageError) and exc.is_lasting


def _is_refusal(exc: Exception) -> bool:
    """Whether the provider or its storage answered, and did not take the file."""
    if isinstance(exc, StorageError):
        return exc.is_refusal
    return isinstance(exc, RequestRejectedError | OtherBytesError)


def transfer_again(dataset: Dataset, *, actor: User) -> None:
    """Transfer the file to fresh presigned URLs, because the provider may have deleted the old objects."""
    if not dataset.has_file:
        raise ActionError("The portal no longer has the file. Upload it again.")
    with transaction.atomic():
        if not Dataset.objects.filter(pk=dataset.pk).update(updated_at=now()):
            raise ActionError("The dataset was deleted meanwhile.")
        _reset(Transfer.objects.filter(dataset=dataset))
        record(actor, "dataset.hand_over", dataset)


def ensure_transferred(dataset: Dataset, connection: Connection) -> bool:
    """Whether the provider has the file. If not, or if its copy may be gone, schedule a transfer.

    A transfer that the portal gave up is tried again: a person started something with the file.
    """
    if dataset.source_url and declared.reads_growing_files(connection):
        return dataset.state == Dataset.State.READY
    transfer, _ = Transfer.objects.get_or_create(dataset=dataset, connection=connection)
    if (transfer.is_old or transfer.failed_at) and dataset.has_file:
        _reset(Transfer.objects.filter(pk=transfer.pk))
        return False
    return dataset.state == Dataset.State.READY and transfer.finished_at is not None


def transfer_anew(dataset: Dataset, connection: Connection) -> bool:
    """Transfer the file again because the provider no longer takes its copy. False if that copy is fresh."""
    rows = Transfer.objects.filter(dataset=dataset, connection=connection)
    if not dataset.has_file or not rows.filter(finished_at__lt=now() - FRESH).exists():
        return False
    _reset(rows)
    return True


def _reset(transfers: QuerySet[Transfer]) -> None:
    """Make finished and failed transfers due again from the first byte."""
    initial = {"bytes_sent": 0, "attempts": 0, "refusals": 0, "error": "", "s3_url": ""}
    ended = transfers.exclude(finished_at=None, failed_at=None)
    ended.update(finished_at=None, failed_at=None, due_at=now(), **initial)
