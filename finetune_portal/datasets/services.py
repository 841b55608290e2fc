"""Services of datasets: start an upload, commit its offset, discard it."""

from __future__ import annotations

import uuid
from pathlib import Path, PurePath
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import services as connections
from finetune_portal.datasets import sample
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.datasets.transfer import schedule_transfer
from finetune_portal.storage import files
from finetune_portal.storage.uploads import StoredUpload
from finetune_portal.web.errors import ActionError
from finetune_portal.web.names import clean_name

EARLY_TRANSFER_BYTES = 16 * 1024 * 1024  # the transfer of a larger file starts during its upload


class TooManyUploadsError(ActionError):
    """The person has as many unfinished uploads as are allowed."""

    def __init__(self) -> None:
        most = settings.UPLOADS_OPEN_MAX
        super().__init__(
            f"You have {most} unfinished uploads, which is the limit. Finish or delete one of them in the "
            "library, then choose this file again."
        )


def start_upload(
    *, owner: User, filename: str, size: int, key: uuid.UUID | None = None, metadata: str = ""
) -> Dataset:
    """Make the row and a file of `size` zeros, into which chunks are written.

    Raises DiskFullError, and TooManyUploadsError.
    """
    _check_open(owner)
    with files.draft(size) as draft, transaction.atomic():
        User.objects.select_for_update().get(pk=owner.pk)  # of several at once, each counts the others
        _check_open(owner)
        return _insert(draft, owner=owner, filename=filename, size=size, key=key, metadata=metadata)


def _check_open(owner: User) -> None:
    rows = Dataset.objects.filter(owner=owner, state=Dataset.State.RECEIVING, file_removed_at=None)
    if rows.count() >= settings.UPLOADS_OPEN_MAX:
        raise TooManyUploadsError


def _insert(
    draft: Path, *, owner: User, filename: str, size: int, key: uuid.UUID | None = None, metadata: str = ""
) -> Dataset:
    """Make the row. The draft becomes its file before the row is committed."""
    filename = clean_name(PurePath(filename.replace("\\", "/")).name)[:255] or "dataset.zip"
    name = filename.removesuffix(".zip").removesuffix(".ZIP")[:120] or "dataset"
    fields = {"filename": filename, "name": name, "metadata": metadata}
    dataset = Dataset(key=key or uuid.uuid4(), owner=owner, size=size, **fields)
    with transaction.atomic():
        dataset.save()
        record(owner, "dataset.upload", dataset, name=name, size=size)
        files.move(draft, dataset.path)
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


def store_upload(*, owner: User, file: StoredUpload) -> Dataset:
    """Make a dataset of a file from a plain form, for browsers without JavaScript."""
    size = int(file.size or 0)
    dataset = _insert(file.path, owner=owner, filename=str(file.name), size=size)
    commit_offset(dataset, size)
    return dataset


def add_sample(*, owner: User) -> Dataset:
    """The sample dataset of this person, made where the library lacks it. Raises DiskFullError."""
    if kept := _sample_of(owner):
        return kept
    content = sample.make()
    with files.draft(len(content)) as draft:
        files.fill(draft, content)
        with transaction.atomic():
            User.objects.select_for_update(no_key=True).get(pk=owner.pk)  # a second click waits
            if kept := _sample_of(owner):
                return kept
            dataset = _insert(draft, owner=owner, filename=sample.FILENAME, size=len(content))
            commit_offset(dataset, dataset.size)
    return dataset


def _sample_of(owner: User) -> Dataset | None:
    """The sample in the library, where this person put it and can train on it."""
    own = Dataset.objects.filter(owner=owner, filename=sample.FILENAME, size=len(sample.make()), parent=None)
    usable = own.filter(project=None, deleted_at=None, file_removed_at=None)
    return usable.filter(state__in=(Dataset.State.CHECKING, Dataset.State.READY)).first()


def discard_upload(dataset: Dataset, *, actor: User | None, **conditions: Any) -> bool:
    """Delete an incomplete upload that no job needs and that meets `conditions`. False if it stays."""
    rows = Dataset.objects.filter(pk=dataset.pk, state=Dataset.State.RECEIVING, **conditions)
    try:
        with transaction.atomic():
            deleted, _ = rows.delete()
            if deleted:
                record(actor, "dataset.drop", dataset, name=dataset.label)
    except ProtectedError:
        return False
    if deleted:
        files.delete(dataset.path)
    return bool(deleted)
