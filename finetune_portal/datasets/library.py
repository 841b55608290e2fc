"""The library's deeds: rename, delete, hand over again, a public address, and how long files are kept."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Carry, Dataset
from finetune_portal.web.deeds import ActionFailed


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


def hand_over_again(dataset: Dataset, *, actor: User) -> None:
    """Carry the file to a fresh presigned URL: the old object may be gone."""
    if not dataset.is_here:
        raise ActionFailed("The portal no longer has the file. Upload it again.")
    with transaction.atomic():
        _carry_anew(Carry.objects.filter(dataset=dataset))
        Dataset.objects.filter(pk=dataset.pk).update(changed=now())
        record(actor, "dataset.hand_over", dataset)


def put_in_place(dataset: Dataset, connection: Connection) -> bool:
    """Have the upstream get it, anew where its copy may be gone. True if it has it already."""
    if dataset.source_url:
        return dataset.state == Dataset.State.READY
    trip, _ = Carry.objects.get_or_create(dataset=dataset, connection=connection)
    if trip.is_old and dataset.is_here:
        _carry_anew(Carry.objects.filter(pk=trip.pk))
        return False
    return dataset.state == Dataset.State.READY and trip.done is not None


def _carry_anew(trips: QuerySet[Carry]) -> None:
    fresh = {"done": None, "sent": 0, "due": now(), "attempts": 0, "error": "", "s3_url": ""}
    trips.exclude(done=None).update(**fresh)


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


def storage() -> dict[str, Any]:
    """What the library takes on disk: `bytes`, `files`, and the days that a file is kept (0: for ever)."""
    here = Dataset.objects.filter(file_gone=None, source_url="")
    return {**here.aggregate(bytes=Sum("received"), files=Count("pk")), "days": settings.DATASET_KEEP_DAYS}


def clear_old_files() -> bool:
    """Remove one file that no job needs and nobody used for the days of the setting. False: none left."""
    if not settings.DATASET_KEEP_DAYS:
        return False
    limit = now() - timedelta(days=settings.DATASET_KEEP_DAYS)
    used_lately = Q(jobs__created__gte=limit)
    settled = Q(state__in=(Dataset.State.READY, Dataset.State.REJECTED))
    stale = Q(state=Dataset.State.RECEIVING)
    old = Dataset.objects.filter(settled | stale, file_gone=None, source_url="", changed__lt=limit)
    for dataset in old.exclude(used_lately).order_by("pk")[:20]:
        if not any(job.needs_dataset for job in dataset.jobs.all()):
            with transaction.atomic():
                Dataset.objects.filter(pk=dataset.pk).update(file_gone=now())
                record(None, "dataset.clear", dataset, name=dataset.name)
            dataset.path.unlink(missing_ok=True)
            return True
    return False
