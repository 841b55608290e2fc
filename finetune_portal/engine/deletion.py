"""Delete an ended job with its files, or one stored object (docs/engine.md). It may be repeated."""

from __future__ import annotations

import shutil

from django.conf import settings
from django.db import OperationalError, connection

from finetune_portal.engine.models import Job
from finetune_portal.engine.storage import keys


class NotEndedError(Exception):
    """The job has not ended, or the object is needed by one that has not."""


def delete_job(job: Job) -> None:
    """Delete the row, its events, weights, samples and log. Its dataset stays. Raises NotEndedError."""
    deleted, _ = Job.objects.filter(pk=job.pk, due_at=None).delete()
    if not deleted:
        raise NotEndedError
    for folder in (keys.weights_folder(job.pk), keys.training_folder(job.pk)):
        shutil.rmtree(settings.STORAGE_DIR / folder, ignore_errors=True)
    (settings.STORAGE_DIR / "fetched" / f"{job.pk}.zip").unlink(missing_ok=True)
    _empty_log()


def delete_file(key: str) -> None:
    """Delete an uploaded dataset or an input image. Raises NotEndedError."""
    if Job.objects.filter(due_at__isnull=False, data_source_path__endswith=key).exists():
        raise NotEndedError
    keys.path(settings.STORAGE_DIR, key).unlink(missing_ok=True)


def _empty_log() -> None:
    """Empty the database's write-ahead log, which holds what was deleted; else the next deletion does."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except OperationalError:  # somebody reads an older state
        return
