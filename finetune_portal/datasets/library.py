"""The library's deeds: rename, delete, hand over again, a public address, and how long files are kept."""

from __future__ import annotations

import shutil
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.datasets.models import Carry, Dataset
from finetune_portal.web.errors import ActionFailed


def rename(dataset: Dataset, name: str, *, actor: User) -> None:
    with transaction.atomic():
        Dataset.objects.filter(pk=dataset.pk).update(name=name, changed=now())
        record(actor, "dataset.rename", dataset, before=dataset.name, after=name)
    dataset.name = name


def delete(dataset: Dataset, *, actor: User) -> None:
    """Take it out of the library and its file off the disk. Finished jobs keep their pictures' record."""
    needing = [job for job in dataset.jobs.all() if job.needs_dataset]
    if needing:
        raise ActionFailed(f"“{needing[0].name}” still needs this dataset. Withdraw it or wait, then delete.")
    with transaction.atomic():
        Dataset.objects.filter(pk=dataset.pk).update(deleted=now(), file_gone=now(), changed=now())
        Carry.objects.filter(dataset=dataset, done=None).delete()
        record(actor, "dataset.delete", dataset, name=dataset.name)
    dataset.path.unlink(missing_ok=True)
    shutil.rmtree(dataset.previews, ignore_errors=True)


def add_url(url: str, *, owner: User) -> Dataset:
    """A dataset that lies at a public address; the worker looks at it from afar."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name or "dataset.zip"
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


def same_content(dataset: Dataset) -> Dataset | None:
    """An older dataset in the library with the same bytes."""
    if not dataset.sha256:
        return None
    twins = Dataset.objects.filter(sha256=dataset.sha256, deleted=None, file_gone=None, pk__lt=dataset.pk)
    return twins.select_related("owner").order_by("pk").first()
