"""Services of datasets: start an upload, commit its offset, discard it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import services as connections
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.datasets.transfer import schedule_transfer
from finetune_portal.web.names import clean_name

EARLY_TRANSFER_BYTES = 16 * 1024 * 1024  # the transfer of a larger file starts during its upload


def start_upload(
    *, owner: User, filename: str, size: int, key: uuid.UUID | None = None, metadata: str = ""
) -> Dataset:
    """Make the row and an empty file, to which chunks are appended."""
    filename = clean_name(PurePath(filename.replace("\\", "/")).name)[:255] or "dataset.zip"
    name = filename.removesuffix(".zip").removesuffix(".ZIP")[:120] or "dataset"
    fields = {"filename": filename, "name": name, "metadata": metadata}
    dataset = Dataset(key=key or uuid.uuid4(), owner=owner, size=size, **fields)
    dataset.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    dataset.path.touch(mode=0o600)
    with transaction.atomic():
        dataset.save()
        record(owner, "dataset.upload", dataset, name=name, size=size)
    return dataset


def commit_offset(dataset: Dataset, received: int) -> None:
    """Commit the bytes that are flushed to disk. With the last byte the dataset is due for its check."""
    rows = Dataset.objects.filter(pk=dataset.pk, state=Dataset.State.RECEIVING)
    if received == dataset.size:
        rows.update(received=received, state=Dataset.State.CHECKING, due_at=now(), updated_at=now())
    else:
        rows.update(received=received, updated_at=now())
        if received >= EARLY_TRANSFER_BYTES and not Transfer.objects.filter(dataset=dataset).exists():
            schedule_transfer(dataset, connections.default())
    dataset.received, dataset.updated_at = received, now()


def restart_upload(dataset: Dataset, size: int) -> bool:
    """Discard the bytes of an upload that broke off. False if the upload is complete or gone.

    A transfer of the old bytes cannot finish, because its row is deleted.
    """
    with transaction.atomic():
        rows = Dataset.objects.filter(pk=dataset.pk, state=Dataset.State.RECEIVING)
        if not rows.update(received=0, size=size, updated_at=now()):
            return False
        Transfer.objects.filter(dataset=dataset).delete()
    dataset.received, dataset.size = 0, size
    return True


def store_upload(*, owner: User, filename: str, size: int, chunks: Iterable[bytes]) -> Dataset:
    """Store a file from a plain form, for browsers without JavaScript."""
    dataset = start_upload(owner=owner, filename=filename, size=size)
    with dataset.path.open("wb") as file:
        file.writelines(chunks)
    commit_offset(dataset, size)
    return dataset


def discard_upload(dataset: Dataset, *, actor: User | None, **conditions: Any) -> bool:
    """Delete an incomplete upload that no job needs and that meets `conditions`. False if it stays."""
    rows = Dataset.objects.filter(pk=dataset.pk, state=Dataset.State.RECEIVING, **conditions)
    try:
        with transaction.atomic():
            deleted, _ = rows.delete()
            if deleted:
                record(actor, "dataset.drop", dataset, name=dataset.name)
    except ProtectedError:
        return False
    if deleted:
        dataset.path.unlink(missing_ok=True)
    return bool(deleted)
