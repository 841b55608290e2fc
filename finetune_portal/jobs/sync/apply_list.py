"""Bring the jobs of a connection in line with its provider's list: known, lost, new and missing ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import DOWNLOADABLE, FOLLOWED, State
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.jobs.sync import details
from finetune_portal.jobs.sync.submit import UNTIL_DECISION
from finetune_portal.jobs.timeline import Source, move, note
from finetune_portal.providers.segmind import FineTune

PAGE = 500
NONCE_LENGTH = 8
WEIGHTS_DELAY = timedelta(hours=1)  # the weights of a finished job may be listed this late


def apply_list(finetunes: list[FineTune], connection: Connection, asked_at: datetime, source: str) -> None:
    """Apply the list of a connection, asked for at `asked_at`, to its jobs."""
    fetcher = details.DetailFetcher(connection)
    items, listed_ids = iter(finetunes), {key for finetune in finetunes for key in finetune.ids}
    while page := list(islice(items, PAGE)):
        rows = list(_rows_of(page, listed_ids, asked_at, connection))
        for job, finetune in sorted(rows, key=lambda row: _has_partial_data(row[0])):  # news first
            _apply(job, finetune, fetcher, source)
    for job in connection.jobs.filter(state=State.UNCONFIRMED):
        _ask_for_decision(job)
    sent_before = asked_at - UNTIL_DECISION
    for job in connection.jobs.filter(state__in=FOLLOWED, error="", sent_at__lt=sent_before):
        if job.request_id not in listed_ids and job.updated_at <= asked_at:
            _mark_missing(job)


def _apply(job: Job, finetune: FineTune, fetcher: details.DetailFetcher, source: str) -> None:
    """Apply one item at once, with its details where they can be had now."""
    if _differs(job, finetune):
        fetched = fetcher.fetch(finetune)
        details.update_job(job, fetched or finetune, source=source, is_partial=fetched is None)
    list_state = _list_state(finetune)
    if job.last_listed_as != list_state:  # last, so that a worker killed before this applies the item again
        Job.objects.filter(pk=job.pk).update(last_listed_as=list_state)


def _rows_of(
    page: list[FineTune], listed_ids: set[str], asked_at: datetime, connection: Connection
) -> Iterator[tuple[Job, FineTune]]:
    """Yield the job of each item, except for jobs that changed after the list was asked for."""
    ids = {key for finetune in page for key in finetune.ids}
    nonces = {_nonce(finetune) for finetune in page}
    jobs = list(Job.objects.filter(Q(request_id__in=ids) | Q(nonce__in=nonces)))
    by_id = {job.request_id: job for job in jobs if job.request_id}
    by_nonce = {job.nonce: job for job in jobs}
    for finetune in page:
        job = next((by_id[key] for key in finetune.ids if key in by_id), None)
        if job is None:
            job = _claim_or_adopt(finetune, by_nonce.get(_nonce(finetune)), listed_ids, connection)
        elif job.updated_at > asked_at:
            job = None
        if job:
            yield job, finetune


def _claim_or_adopt(
    finetune: FineTune, sent: Job | None, listed_ids: set[str], connection: Connection
) -> Job | None:
    """Find the job of an unknown id: `sent`, which has the nonce of its name, or else a new row."""
    if sent is None or sent.request_id in listed_ids:
        return _adopt(finetune, sent, connection)
    return sent if _claim(sent, finetune) else None


def _nonce(finetune: FineTune) -> str:
    return finetune.name[-NONCE_LENGTH:]


def _list_state(finetune: FineTune) -> str:
    """What the list says of a job, to be compared with `last_listed_as`."""
    return f"{finetune.status[:100]} {'public' if finetune.public else 'private'}"


def _differs(job: Job, finetune: FineTune) -> bool:
    """Whether to update the job: the list says something new, or something is still missing.

    List and details may use different words for one state, so only a new word in the list counts.
    """
    is_shown = (finetune.status[:100], finetune.public) == (job.provider_status, job.is_public)
    is_new = not is_shown and job.last_listed_as != _list_state(finetune)
    is_recent = job.updated_at > now() - WEIGHTS_DELAY
    lacks_weights = job.state in DOWNLOADABLE and not job.cloud_storage_url and is_recent
    is_back = bool(job.error) and job.state in FOLLOWED
    return is_new or lacks_weights or is_back or _has_partial_data(job)


def _has_partial_data(job: Job) -> bool:
    """Whether the job was updated from the list alone, without its details."""
    return bool(job.provider_data.get("partial"))


def _claim(job: Job, finetune: FineTune) -> bool:
    """Take the listed id for a sent job whose answer is lost, still on its way, or named another id."""
    text = "Found in the provider's list: it was accepted"
    if job.request_id:
        text = "Found in the provider's list by another id"
    fields: dict[str, Any] = {"request_id": finetune.id, "sent_at": now(), "ended_at": None, "error": ""}
    with transaction.atomic():
        moved = move(job, State.REQUESTED, text, source=Source.POLL, **fields)
        doubtful = job.submit_attempts.filter(outcome__in=(Attempt.Outcome.OPEN, Attempt.Outcome.UNKNOWN))
        doubtful.update(outcome=Attempt.Outcome.ACCEPTED, ended_at=now())
    return moved


def _mark_missing(job: Job) -> None:
    """Note once that a job is not listed. It keeps its last known state, as the list may recover."""
    text = "The provider's list no longer has this job. It may have been deleted there."
    with transaction.atomic():
        if Job.objects.filter(pk=job.pk, updated_at=job.updated_at).update(error=text, updated_at=now()):
            note(job, text, source=Source.POLL)


def _ask_for_decision(job: Job) -> None:
    last = job.submit_attempts.order_by("-started_at").first()
    if last and last.started_at < now() - UNTIL_DECISION and job.due_at <= now():
        text = "Not in the provider's list after 15 minutes. Send again, or close the job?"
        move(job, State.NEEDS_DECISION, text, source=Source.PORTAL)


def _adopt(finetune: FineTune, first: Job | None, connection: Connection) -> Job:
    """Make a row for a job started outside the portal, or for a second training of the job `first`."""
    text = "Found at the provider, started outside the portal"
    fields: dict[str, Any] = {
        "name": finetune.name[:80] or finetune.id[:80],
        "connection": connection,
        "state": State.REQUESTED,
        "learning_rate": finetune.learning_rate,
        "steps": finetune.steps,
        "sent_at": now(),
    }
    if first:
        text = "Found at the provider as a second training of the same job; it may be paid for twice"
        fields |= {"name": first.name, "owner": first.owner, "dataset": first.dataset}
    with transaction.atomic():
        job, is_new = Job.objects.get_or_create(request_id=finetune.id, defaults=fields)
        if is_new:
            note(job, text, source=Source.POLL, state=job.state)
            if first:
                second = f"The provider has a second training of this job: job {job.pk}"
                note(first, second, source=Source.POLL)
    return job
