"""Read a model file once, on request, for its SHA-256 and size. The worker does it."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from time import monotonic

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import rate_limit
from finetune_portal.connections.client import client_for
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import mark_file_gone
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.providers.segmind import SegmindError, StorageError
from finetune_portal.queue.leases import backoff, held_by, renew
from finetune_portal.web.errors import ActionError

LEASE = 120.0
MAX_ATTEMPTS = 3


def request_check(job: Job, *, actor: User) -> None:
    if not job.can_download:
        raise ActionError("The model file is not there yet. Check it once the training is done.")
    with transaction.atomic():
        fields = {
            "file_check_requested_at": now(),
            "file_error": "",
            "due_at": now(),
            "attempts": 0,
            "updated_at": now(),
        }
        if Job.objects.filter(pk=job.pk, file_check_requested_at=None).update(**fields):
            record(actor, "job.check-file", job, name=job.name)


def check_next() -> bool:
    """Read the file requested longest ago. False when there is none, or no call is left for it."""
    requested = Job.objects.filter(file_check_requested_at__isnull=False)
    job = rate_limit.claim_with_call(
        requested, Connection.objects.in_use(), reserve=rate_limit.DETAILS, seconds=LEASE
    )
    if job is None:
        return False
    try:
        digest, size = _hash_file(job)
    except SegmindError as exc:
        if isinstance(exc, StorageError) and exc.is_gone:
            mark_file_gone(job)
        _failed(job, exc)
        return True
    with transaction.atomic():
        fields = {"file_sha256": digest, "file_size": size, "file_check_requested_at": None}
        if held_by(job).update(**fields, file_error="", lease_expires_at=None, updated_at=now()):
            note(job, "Checked the model file’s SHA-256", source=Source.PORTAL)
    return True


def _hash_file(job: Job) -> tuple[str, int]:
    digest, size, renewed = hashlib.sha256(), 0, monotonic()
    with client_for(job.connection) as client:
        link = client.download_url(job.cloud_storage_url)
    for block in client.fetch(link):
        digest.update(block)
        size += len(block)
        if monotonic() - renewed > LEASE / 4:
            renewed = monotonic()
            renew(job, seconds=LEASE)
    return digest.hexdigest(), size


def _failed(job: Job, exc: SegmindError) -> None:
    is_gone = isinstance(exc, StorageError) and (exc.is_gone or exc.is_lasting)
    is_over = is_gone or job.attempts >= MAX_ATTEMPTS or not exc.retryable
    pause = timedelta() if is_over else backoff(job.attempts)
    requested_at = None if is_over else job.file_check_requested_at
    error = f"The file could not be read. {exc.message}"[:300]
    held_by(job).update(
        file_check_requested_at=requested_at,
        file_error=error,
        due_at=now() + pause,
        lease_expires_at=None,
        updated_at=now(),
    )
