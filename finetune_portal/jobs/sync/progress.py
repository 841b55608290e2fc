"""Fetch the progress of trainings where the provider reports it, and cancel jobs there.

A task of the worker of its own. Progress is fetched about every second, and once more after the end, so that
the curve is complete.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import capabilities, rate_limit
from finetune_portal.connections.client import client_for
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import DOWNLOADABLE, UNTRAINED, State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.sync import details, poll, samples
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.providers.errors import CallError, InvalidResponseError, RequestRejectedError
from finetune_portal.providers.segmind import Progress
from finetune_portal.queue.leases import backoff, held_by, renewing
from finetune_portal.web.disk_full import DiskFullError
from finetune_portal.web.errors import ActionError

LEASE = 60.0
INTERVAL = timedelta(seconds=1.5)
MAX_ATTEMPTS = 5  # to fetch progress after the end
SAMPLES_AT_ONCE = 4
FULL_PAUSE = timedelta(minutes=1)  # while the disk has no room for samples
NEW_AT_ONCE = 100


def cancel(job: Job, *, actor: User) -> None:
    """Note the request; the worker cancels the job at its provider."""
    if not job.can_cancel:
        raise ActionError("There is nothing to cancel: the job has ended, or its provider cannot cancel it.")
    with transaction.atomic():
        rows = Job.objects.filter(pk=job.pk, cancel_requested_at=None, state__in=UNTRAINED)
        if rows.update(cancel_requested_at=now(), updated_at=now()):
            Training.objects.filter(job=job).update(due_at=now())
            note(job, "Requested to cancel the job", source=Source.PERSON, actor=actor)
            record(actor, "job.cancel", job, name=job.name)


def fetch_next() -> bool:
    """Fetch the progress that is most overdue. False when none is due."""
    connections = [
        connection for connection in Connection.objects.in_use() if "progress" in connection.capabilities
    ]
    _create_rows(connections)
    rows = Training.objects.filter(is_over=False).select_related("job__connection")
    training = rate_limit.claim_with_call(
        rows, connections, reserve=rate_limit.EXTENSION, seconds=LEASE, connection_field="job__connection"
    )
    if training is None:
        return False
    try:
        with renewing(training, seconds=LEASE):  # to decode samples may take minutes
            _fetch(training, training.job)
    except CallError as exc:
        _failed(training, exc)
    except DiskFullError:  # of a sample; the curve is stored
        held_by(training).update(due_at=now() + FULL_PAUSE, lease_expires_at=None)
    return True


def _create_rows(connections: list[Connection]) -> None:
    """Create the Training of each job that has none."""
    if not connections:
        return
    new = Job.objects.filter(connection__in=connections, state__in=UNTRAINED, training=None)
    rows = [Training(job=job) for job in new.exclude(request_id=None).only("pk")[:NEW_AT_ONCE]]
    if rows:
        Training.objects.bulk_create(rows, ignore_conflicts=True)


def _fetch(training: Training, job: Job) -> None:
    is_last = job.state not in UNTRAINED
    if job.cancel_requested_at and not is_last:
        _request_cancel(job)
    with client_for(job.connection) as client:
        reported = client.extension.progress(str(job.request_id))
    _save(training, {**_fields(reported), "began_at": _began_at(training, reported)})
    missing = _fetch_samples(training, reported.samples)
    stored = samples.stored(job.pk, reported.samples)
    if stored and stored != training.samples:
        samples.request_preview(job.pk, str(stored[-1]), "small")  # so that it is there when the row shows it
    _save(training, {"samples": stored})
    due = now() + (timedelta() if missing else INTERVAL)
    held_by(training).update(is_over=is_last and not missing, due_at=due, attempts=0, lease_expires_at=None)


def _began_at(training: Training, reported: Progress) -> datetime | None:
    """When it was first seen to train: an engine's jobs wait for its GPU in that state, too."""
    if training.began_at is None and training.job.state == State.TRAINING and not reported.ahead:
        return now()
    return training.began_at


def _save(training: Training, fields: dict[str, Any]) -> None:
    if any(getattr(training, name) != value for name, value in fields.items()):
        held_by(training).update(**fields, updated_at=now())


def _fields(reported: Progress) -> dict[str, Any]:
    return {
        "percent": reported.percent,
        "step": reported.step,
        "jobs_ahead": reported.ahead,
        "seconds_left": reported.seconds_left,
        "memory_bytes": reported.memory_bytes,
        "losses": [list(point) for point in reported.losses],
        "held_out": [list(point) for point in reported.held_out],
        "held_out_weighted": [list(point) for point in reported.held_out_weighted],
        "is_held_out_trained": reported.held_out_is_trained,
        "phase": reported.phase,
        "log": reported.log,
    }


def _fetch_samples(training: Training, steps: list[int]) -> int:
    """Fetch some of the samples that are not stored yet; return how many are still missing."""
    job = training.job
    missing = samples.missing(job.pk, steps)
    images: dict[str, bytes] = {}
    try:
        for name in missing[:SAMPLES_AT_ONCE]:
            try:
                with client_for(job.connection) as client:
                    images[name] = client.extension.picture(str(job.request_id), name)
            except (InvalidResponseError, RequestRejectedError):
                images[name] = b""
    finally:  # of a call that failed: those before it are there
        if images:
            samples.save(job.pk, images)
    return len(samples.missing(job.pk, steps))


def _request_cancel(job: Job) -> None:
    """Ask the provider to cancel, again each time until it says that the job has ended."""
    with client_for(job.connection) as client:
        is_going = client.extension.cancel(str(job.request_id))
    if is_going:
        poll.poll_soon()
        return
    details.refresh(job, source=Source.POLL)
    if job.state in DOWNLOADABLE:
        with transaction.atomic():
            rows = Job.objects.filter(pk=job.pk).exclude(cancel_requested_at=None)
            if rows.update(cancel_requested_at=None, updated_at=now()):
                note(job, "Too late to cancel: the training had ended", source=Source.PORTAL)


def _failed(training: Training, exc: CallError) -> None:
    """Try again later, after the end a few times only. Other software may answer for the provider now."""
    is_last = training.job.state not in UNTRAINED
    if isinstance(exc, RequestRejectedError):
        capabilities.expire(training.job.connection)
    over = is_last and (isinstance(exc, RequestRejectedError) or training.attempts >= MAX_ATTEMPTS)
    due = now() + max(INTERVAL, backoff(training.attempts))
    held_by(training).update(is_over=over, due_at=due, lease_expires_at=None)
