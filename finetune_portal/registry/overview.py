"""How many model files the portal has copies of, and which ones it could not get."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Sum

from finetune_portal.jobs.models import Job
from finetune_portal.registry import copy_requests
from finetune_portal.registry.models import ModelFile

State = ModelFile.State
SHOWN = 50


@dataclass(frozen=True)
class Overview:
    """Numbers of files, and `bytes` of the stored ones. `keep_days` 0 keeps them for good."""

    stored: int
    bytes: int
    wanted: int
    copyable: int
    keep_days: int
    is_in_backups: bool
    not_copied: list[Job]


def overview() -> Overview:
    stored = ModelFile.objects.filter(state=State.STORED).aggregate(files=Count("pk"), bytes=Sum("size"))
    failed = Job.objects.filter(file_check_requested_at=None, file_kept_at=None).exclude(file_error="")
    return Overview(
        stored=stored["files"],
        bytes=stored["bytes"] or 0,
        wanted=Job.objects.filter(file_check_requested_at__isnull=False).count(),
        copyable=copy_requests.copyable().count(),
        keep_days=settings.MODEL_KEEP_DAYS,
        is_in_backups=settings.BACKUP_MODELS,
        not_copied=list(failed.order_by("-pk")[:SHOWN]),
    )
