"""Follow the jobs at providers without a list: a call for each job, its log, and its cancellation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.connections import declared, rate_limit
from finetune_portal.connections.client import adapter_for
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import ENDED, FOLLOWED, STATE_OF_PHASE, UNTRAINED, State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.sync import cost, requests, weights
from finetune_portal.jobs.timeline import Source, move, note
from finetune_portal.providers.contract import (
    Adapter,
    Cancelled,
    Capability,
    Phase,
    Snapshot,
)
from finetune_portal.providers.errors import CallError, GoneError
from finetune_portal.queue.leases import backoff, held_by

LEASE = 180.0
NEW_AT_ONCE = 100
MAX_LINES, MAX_LINE = 40, 300  # of the log
BILL_INTERVAL, BILLED_WITHIN = timedelta(minutes=1), timedelta(days=1)
NOT_KNOWN = "The provider no longer knows this job. It may have been deleted there."
GONE_AFTER = timedelta(minutes=15)  # a new job may be known late


def follow_next() -> bool:
    """Ask for the job that was asked for longest ago. False when none is due."""
    connections = [each for each in Connection.objects.in_use() if not declared.lists_jobs(each)]
    if not connections:
        return False
    _create_rows(connections)
    training = rate_limit.claim_with_call(
        Training.objects.filter(is_over=False).select_related("job__connection"),
        connections,
        reserve=rate_limit.LIST,
        seconds=LEASE,
        connection_field="job__connection",
    )
    if training is None:
        return False
    try:
        with adapter_for(training.job.connection) as adapter:
            _follow(training, adapter)
    except CallError as exc:
        _failed(training, exc)
    return True


def follow_soon(job: Job) -> None:
    """Ask for the job at the next tick."""
    Training.objects.filter(job=job, is_over=False).update(due_at=now())


def _create_rows(connections: list[Connection]) -> None:
    new = Job.objects.filter(connection__in=connections, state__in=FOLLOWED, training=None)
    rows = [Training(job=job) for job in new.exclude(request_id=None).only("pk")[:NEW_AT_ONCE]]
    if rows:
        Training.objects.bulk_create(rows, ignore_conflicts=True)


def _follow(training: Training, adapter: Adapter) -> None:
    job, handle = training.job, requests.handle_of(training.job)
    is_cancelling = bool(job.cancel_requested_at) and Capability.CANCEL in adapter.capabilities
    cancelled = adapter.cancel(handle) if is_cancelling else None
    snapshot = adapter.poll(handle)
    fields: dict[str, Any] = {"jobs_ahead": snapshot.jobs_ahead}
    if Capability.LOGS in adapter.capabilities:
        fields["log"] = _log(adapter, job, training)
    update_job(job, snapshot, source=Source.POLL)
    is_over_otherwise = job.state not in UNTRAINED and not job.is_cancelled
    if cancelled is Cancelled.TOO_LATE and is_over_otherwise:  # not by a cancel whose worker died
        _note_too_late(job)
    if any(getattr(training, name) != value for name, value in fields.items()):
        fields["updated_at"] = now()
    due = now() + timedelta(seconds=job.connection.poll_seconds)
    is_over = job.state in ENDED
    if is_over and Capability.COST in adapter.capabilities:
        is_last = (job.ended_at or now()) < now() - BILLED_WITHIN
        if not cost.record_bill(job, adapter, is_last=is_last):
            is_over, due = is_last, now() + BILL_INTERVAL
    held_by(training).filter(due_at=training.due_at).update(due_at=due)  # unless a webhook came meanwhile
    held_by(training).update(**fields, is_over=is_over, attempts=0, lease_expires_at=None)
    Connection.objects.filter(pk=job.connection_id).update(last_answer_at=now())


def _log(adapter: Adapter, job: Job, training: Training) -> list[str]:
    """The last lines; those that are stored where they cannot be had now."""
    try:
        lines = adapter.logs(requests.handle_of(job))
    except CallError:
        return list(training.log)
    return [line.text[:MAX_LINE] for line in lines[-MAX_LINES:]]


def update_job(job: Job, snapshot: Snapshot, *, source: str) -> None:
    """Update a job from what its provider says; the timeline notes the `source` of a new state."""
    status = snapshot.status[:100] or job.provider_status
    is_cancelled = snapshot.phase is Phase.CANCELLED
    state = State.FAILED if is_cancelled else STATE_OF_PHASE[snapshot.phase]
    file = next((each for each in snapshot.files if each.role == weights.ROLE), None)
    fields: dict[str, Any] = {
        "provider_status": status,
        "provider_data": {**snapshot.raw, "reached": job.reached if state == State.FAILED else state},
        "cloud_storage_url": file.address if file else job.cloud_storage_url,
        "error": _error(snapshot) if state == State.FAILED else "",
    }
    if file and file.expires_at:
        fields["provider_data"]["expires_at"] = file.expires_at.isoformat()
    if state != job.state or (state == State.RUNNING and status != job.provider_status):
        text = f"Provider status: {status}" if state == State.RUNNING else state.label
        move(job, state, "Cancelled" if is_cancelled else text, source=source, **fields)
    elif any(getattr(job, name) != value for name, value in fields.items()):
        Job.objects.filter(pk=job.pk).update(updated_at=now(), **fields)


def _error(snapshot: Snapshot) -> str:
    if snapshot.phase is Phase.CANCELLED:
        return "Cancelled."
    return snapshot.error or "The provider gives no reason."


def _note_too_late(job: Job) -> None:
    with transaction.atomic():
        rows = Job.objects.filter(pk=job.pk).exclude(cancel_requested_at=None)
        if rows.update(cancel_requested_at=None, updated_at=now()):
            note(job, "Too late to cancel: the training had ended", source=Source.PORTAL)


def _failed(training: Training, exc: CallError) -> None:
    """Ask again later: an error of a call ends no job. A job that is not known says so on its page."""
    job = training.job
    pause = max(timedelta(seconds=job.connection.poll_seconds), backoff(training.attempts))
    held_by(training).update(due_at=now() + pause, lease_expires_at=None)
    is_known_long = job.sent_at is not None and job.sent_at < now() - GONE_AFTER
    if isinstance(exc, GoneError) and is_known_long and not job.error:
        with transaction.atomic():
            if Job.objects.filter(pk=job.pk, error="").update(error=NOT_KNOWN, updated_at=now()):
                note(job, NOT_KNOWN, source=Source.POLL)
