"""Change the library: rename or delete a dataset, add one by its public address, find duplicates."""

from __future__ import annotations

import shutil
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.web.errors import ActionError
from finetune_portal.web.names import clean_name


def rename(dataset: Dataset, name: str, *, actor: User) -> None:
    with transaction.atomic():
        Dataset.objects.filter(pk=dataset.pk).update(name=name, updated_at=now())
        record(actor, "dataset.rename", dataset, before=dataset.name, after=name)
    dataset.name = name


def delete(dataset: Dataset, *, actor: User) -> None:
    """Remove a dataset from the library and its file from the disk. The row stays, for its finished jobs."""
    job = next((job for job in dataset.jobs.all() if job.needs_dataset), None)
    if job is not None:
        raise ActionError(f"“{job.name}” still needs this dataset. Withdraw it or wait, then delete.")
    at = now()
    with transaction.atomic():
        rows = Dataset.objects.filter(pk=dataset.pk)
        rows.update(deleted_at=at, file_removed_at=at, updated_at=at)
        Transfer.objects.filter(dataset=dataset, finished_at=None).delete()
        record(actor, "dataset.delete", dataset, name=dataset.name)
    for path in (dataset.path, dataset.seen_path):
        path.unlink(missing_ok=True)
    shutil.rmtree(dataset.previews, ignore_errors=True)


def add_url(url: str, *, owner: User) -> Dataset:
    """Add a dataset that lies at a public address; the worker checks it by ranged requests."""
    name = clean_name(PurePosixPath(unquote(urlsplit(url).path)).name) or "dataset.zip"
    with transaction.atomic():
        dataset = Dataset.objects.create(
            owner=owner,
            name=name.removesuffix(".zip")[:120] or "dataset",
            filename=name[:255],
            state=Dataset.State.CHECKING,
            size=0,
            source_url=url,
        )
        record(owner, "dataset.url", dataset, host=urlsplit(url).hostname or "")
    return dataset


def duplicate_of(dataset: Dataset) -> Dataset | None:
    """An older dataset in the library whose file has the same SHA-256."""
    if not dataset.sha256:
        return None
    rows = Dataset.objects.filter(sha256=dataset.sha256, deleted_at=None, file_removed_at=None)
    return rows.filter(pk__lt=dataset.pk).select_related("owner").order_by("pk").first()
