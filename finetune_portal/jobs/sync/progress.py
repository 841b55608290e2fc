"""Keeps what an engine tells of a training beyond its state, and carries out the wish to cancel it.

A lane of the worker's own. A training is looked at about every second, and once more after its end, so that
its curve is whole.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import capabilities, rate_limit
from finetune_portal.connections.client import client_for
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import DOWNLOADABLE, UNTRAINED
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.sync import samples, sync
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.providers.segmind import (
    InvalidResponseError,
    Progress,
    RequestRejectedError,
    SegmindError,
)
from finetune_portal.queue.leases import backoff, held_by, renew
from finetune_portal.web.errors import ActionError

LEASE = 60.0
TICK = timedelta(seconds=1.5)
TRIES = 5  # to ask for the last time
PICTURES = 4  # at one look
AT_ONCE = 100


def cancel(job: Job, *, actor: User) -> None:
    """The wish is written down; the worker carries it out."""
    if not job.can_cancel:
        raise ActionError("There is nothing to cancel: the training is over, or cannot be cancelled there.")
    with transaction.atomic():
        wished = Job.objects.filter(pk=job.pk, cancel_requested_at=None, state__in=UNTRAINED)
        if wished.update(cancel_requested_at=now(), updated_at=now()):
            Training.objects.filter(job=job).update(due_at=now())
            note(job, "Asked to cancel the training", source=Source.PERSON, actor=actor)
            record(actor, "job.cancel", job, name=job.name)


def follow_next() -> bool:
    """Look at the training that was looked at longest ago. False when none is due."""
    able = [connection for connection in Connection.objects.in_use() if "progress" in connection.capabilities]
    _begin(able)
    rows = Training.objects.filter(is_over=False).select_related("job__connection")
    training = rate_limit.claim_with_call(
        rows, able, reserve=rate_limit.EXTENSION, seconds=LEASE, connection_field="job__connection"
    )
    if training is None:
        return False
    try:
        _look(training, training.job)
    except SegmindError as exc:
        _failed(training, exc)
    return True


def _begin(able: list[Connection]) -> None:
    """A row for each training that has none."""
    if not able:
        return
    new = Job.objects.filter(connection__in=able, state__in=UNTRAINED, training=None)
    rows = [Training(job=job) for job in new.exclude(request_id=None).only("pk")[:AT_ONCE]]
    if rows:
        Training.objects.bulk_create(rows, ignore_conflicts=True)


def _look(training: Training, job: Job) -> None:
    is_last = job.state not in UNTRAINED
    if job.cancel_requested_at and not is_last:
        _cancel(job)
    with client_for(job.connection) as client:
        told = client.extra.progress(str(job.request_id))
    _keep(training, _fields(told))
    rest = _fetch(training, told.samples)
    _keep(training, {"samples": samples.there(job.pk, told.samples)})
    due = now() + (timedelta() if rest else TICK)
    held_by(training).update(is_over=is_last and not rest, due_at=due, attempts=0, lease_expires_at=None)


def _keep(training: Training, fields: dict[str, Any]) -> None:
    if any(getattr(training, name) != value for name, value in fields.items()):
        held_by(training).update(**fields, updated_at=now())


def _fields(told: Progress) -> dict[str, Any]:
    return {
        "percent": told.percent,
        "step": told.step,
        "jobs_ahead": told.ahead,
        "seconds_left": told.seconds_left,
        "memory_bytes": told.memory_bytes,
        "losses": [list(point) for point in told.losses],
        "held_out": [list(point) for point in told.held_out],
        "is_held_out_trained": told.held_out_is_trained,
    }


def _fetch(training: Training, steps: list[int]) -> int:
    """Some of the pictures that are not here; answers how many are still missing."""
    job = training.job
    missing = samples.missing(job.pk, steps)
    for name in missing[:PICTURES]:
        renew(training, seconds=LEASE)
        try:
            with client_for(job.connection) as client:
                content = client.extra.picture(str(job.request_id), name)
        except (InvalidResponseError, RequestRejectedError):
            content = b""
        samples.keep(job.pk, name, content)
    return max(0, len(missing) - PICTURES)


def _cancel(job: Job) -> None:
    """Asked again at each look until the upstream says that it is over."""
    with client_for(job.connection) as client:
        is_going = client.extra.cancel(str(job.request_id))
    if is_going:
        sync.look_again()
        return
    sync.refresh_one(job, source=Source.POLL)
    if job.state in DOWNLOADABLE:
        with transaction.atomic():
            if (
                Job.objects.filter(pk=job.pk)
                .exclude(cancel_requested_at=None)
                .update(cancel_requested_at=None, updated_at=now())
            ):
                note(job, "Too late to cancel: the training was over", source=Source.PORTAL)


def _failed(training: Training, exc: SegmindError) -> None:
    """Again later, but after the end not for ever. Where it is not known, the upstream may be another one."""
    is_last = training.job.state not in UNTRAINED
    if isinstance(exc, RequestRejectedError):
        capabilities.expire(training.job.connection)
    over = is_last and (isinstance(exc, RequestRejectedError) or training.attempts >= TRIES)
    due = now() + max(TICK, backoff(training.attempts))
    held_by(training).update(is_over=over, due_at=due, lease_expires_at=None)
