"""Remove copies of model files that nobody downloaded for MODEL_KEEP_DAYS, and files that no row names."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from finetune_portal.audit.services import record
from finetune_portal.connections import rate_limit
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import mark_file_gone
from finetune_portal.jobs.sync import weights
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.providers.errors import CallError, StorageError
from finetune_portal.queue.leases import held_by
from finetune_portal.registry.models import FOLDER, ModelFile
from finetune_portal.storage import files

LEASE = 90.0  # longer than the two calls may take
ASK_AGAIN = timedelta(days=1)


def clear_old_copies() -> bool:
    """Remove one copy that nobody downloaded for MODEL_KEEP_DAYS. False if none is left.

    The last copy there is stays: the provider is asked for the file first.
    """
    if not settings.MODEL_KEEP_DAYS:
        return False
    limit = now() - timedelta(days=settings.MODEL_KEEP_DAYS)
    old = ModelFile.objects.filter(state=ModelFile.State.STORED, used_at__lt=limit)
    file = rate_limit.claim_with_call(
        old.select_related("model__job__connection"),
        Connection.objects.in_use(),
        reserve=rate_limit.DETAILS,
        seconds=LEASE,
        connection_field="model__job__connection",
    )
    if file is None:
        return False
    if _is_at_provider(file.model.job):
        _remove(file)
    else:
        held_by(file).update(due_at=now() + ASK_AGAIN, lease_expires_at=None)
    return True


def _is_at_provider(job: Job) -> bool:
    try:
        link, provider_files = weights.link_to(job, somebody_waits=False)
        provider_files.check(link)
    except StorageError as exc:
        if exc.is_gone:
            mark_file_gone(job)
        return False
    except CallError:
        return False
    return True


def _remove(file: ModelFile) -> None:
    job, days = file.model.job, settings.MODEL_KEEP_DAYS
    text = f"The portal’s copy of the model file was removed: nobody downloaded it for {days} days"
    fields = {"state": ModelFile.State.REMOVED, "received": 0, "lease_expires_at": None}
    with transaction.atomic():
        file.lock_job()
        if not held_by(file).filter(state=ModelFile.State.STORED).update(**fields):
            return
        Job.objects.filter(pk=job.pk).update(file_kept_at=None, updated_at=now())
        note(job, text, source=Source.PORTAL)
        record(None, "job.remove-copy", job, name=job.name)
    files.delete(file.path)


def clear_orphans(seconds: float = files.ABANDONED_SECONDS) -> None:
    """Delete copies that no row wants, and that nobody wrote for a day.

    A process that is killed leaves one between the commit of its row and the file.
    """
    latest = time.time() - seconds
    rows = ModelFile.objects.filter(state__in=(ModelFile.State.WANTED, ModelFile.State.STORED))
    places = {Path(place).stem for place in rows.values_list("place", flat=True)}
    for path in (Path(settings.DATA_DIR) / FOLDER).glob("*.safetensors*"):
        if path.name.lstrip(".").partition(".")[0] not in places and path.stat().st_mtime <= latest:
            files.delete(path)
