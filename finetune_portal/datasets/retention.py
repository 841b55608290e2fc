"""How long files are kept: clear abandoned uploads and files that nobody used for the days of the setting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, Sum
from django.utils.timezone import now

from finetune_portal.audit.services import record
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import drop_upload


def clear_abandoned() -> bool:
    """Forget one upload that has not gone on for the hours of the setting. False: none left."""
    quiet = {"updated_at__lt": now() - timedelta(hours=settings.UPLOAD_KEEP_HOURS)}
    rows = Dataset.objects.filter(state=Dataset.State.RECEIVING, jobs=None, **quiet)
    return any(drop_upload(dataset, actor=None, **quiet) for dataset in rows.order_by("pk")[:20])


def storage() -> dict[str, Any]:
    """What the library takes on disk: `bytes`, `files`, and the days that a file is kept (0: for ever)."""
    here = Dataset.objects.filter(file_removed_at=None, source_url="")
    return {**here.aggregate(bytes=Sum("received"), files=Count("pk")), "days": settings.DATASET_KEEP_DAYS}


def clear_old_files() -> bool:
    """Remove one file that no job needs and nobody used for the days of the setting. False: none left."""
    if not settings.DATASET_KEEP_DAYS:
        return False
    limit = now() - timedelta(days=settings.DATASET_KEEP_DAYS)
    used_lately = Q(jobs__created_at__gte=limit)
    settled = Q(state__in=(Dataset.State.READY, Dataset.State.REJECTED))
    stale = Q(state=Dataset.State.RECEIVING)
    old = Dataset.objects.filter(settled | stale, file_removed_at=None, source_url="", updated_at__lt=limit)
    for dataset in old.exclude(used_lately).order_by("pk")[:20]:
        if not any(job.needs_dataset for job in dataset.jobs.all()):
            with transaction.atomic():
                Dataset.objects.filter(pk=dataset.pk).update(file_removed_at=now())
                record(None, "dataset.clear", dataset, name=dataset.name)
            dataset.path.unlink(missing_ok=True)
            return True
    return False
