"""Delete abandoned uploads, and files that nobody used for DATASET_KEEP_DAYS."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils.timezone import now

from finetune_portal.audit.services import record
from finetune_portal.datasets import access
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import discard_upload
from finetune_portal.storage import files

HAS_COPY = Q(source_url="") | Q(is_fetched=True)


def clear_abandoned() -> bool:
    """Delete one upload that made no progress for UPLOAD_KEEP_HOURS. False if none is left."""
    conditions = {"updated_at__lt": now() - timedelta(hours=settings.UPLOAD_KEEP_HOURS)}
    rows = Dataset.objects.filter(state=Dataset.State.RECEIVING, jobs=None, **conditions)
    return any(discard_upload(dataset, actor=None, **conditions) for dataset in rows.order_by("pk")[:20])


def clear_orphans(seconds: float = files.ABANDONED_SECONDS) -> None:
    """Delete files of datasets that no row names, and that nobody wrote for a day.

    A process that is killed leaves one between the file and the commit of its row.
    """
    latest = time.time() - seconds
    keys = {str(key) for key in Dataset.objects.values_list("key", flat=True)}
    for path in (Path(settings.DATA_DIR) / "datasets").glob("*.zip"):
        if path.stem not in keys and path.stat().st_mtime <= latest:
            files.delete(path)


def clear_refused_urls() -> bool:
    """Delete one public address that was refused and that no job names. False if none is left.

    It stays for an hour, so that the page of whoever entered it can say why.
    """
    limit = now() - timedelta(hours=1)
    refused = Dataset.objects.filter(access.REFUSED_URL, jobs=None, updated_at__lt=limit).order_by("pk")
    dataset = refused.first()
    if dataset is None:
        return False
    with transaction.atomic():
        if Dataset.objects.filter(pk=dataset.pk).delete()[0]:
            record(None, "dataset.drop", dataset, name=dataset.label)
    return True


def storage(datasets: QuerySet[Dataset]) -> dict[str, Any]:
    """Disk usage of these datasets: `bytes`, `files`, and the `days` that a file is kept (0: for ever)."""
    stored = datasets.filter(HAS_COPY, file_removed_at=None)
    return {**stored.aggregate(bytes=Sum("received"), files=Count("pk")), "days": settings.DATASET_KEEP_DAYS}


def clear_old_files() -> bool:
    """Remove one file that no job needs and nobody used for DATASET_KEEP_DAYS. False if none is left."""
    if not settings.DATASET_KEEP_DAYS:
        return False
    limit = now() - timedelta(days=settings.DATASET_KEEP_DAYS)
    recently_used = Q(jobs__created_at__gte=limit)
    settled = Q(state__in=(Dataset.State.READY, Dataset.State.REJECTED))
    stale = Q(state=Dataset.State.RECEIVING)
    old = Dataset.objects.filter(settled | stale, HAS_COPY, file_removed_at=None, updated_at__lt=limit)
    for dataset in old.exclude(recently_used).order_by("pk")[:20]:
        if not any(job.needs_dataset for job in dataset.jobs.all()):
            with transaction.atomic():
                if Dataset.objects.filter(pk=dataset.pk).update(file_removed_at=now()):
                    record(None, "dataset.clear", dataset, name=dataset.label)
            files.delete(dataset.path)
            return True
    return False
