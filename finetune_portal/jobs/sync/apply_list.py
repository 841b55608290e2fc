"""Bring the jobs of a connection in line with its provider's list: known, lost, new and missing ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from finetune_portal.connections import parameters, trainers
from finetune_portal.connections.models import Connection
from finetune_portal.jobs import costs
from finetune_portal.jobs.choices import ACTIVE, DOWNLOADABLE, FOLLOWED, State
from finetune_portal.jobs.models import DeletedJob, Job
from finetune_portal.jobs.sync import details, lost, second
from finetune_portal.jobs.sync.submit import UNTIL_DECISION
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.providers.contract import Handle
from finetune_portal.providers.segmind import FineTune
from finetune_portal.queue.leases import renew

Unknown = tuple[FineTune, Job | None]  # an item of no job, and the job that has its nonce already

PAGE = 500
NONCE_LENGTH = 8
WEIGHTS_DELAY = timedelta(hours=1)  # the weights of a finished job may be listed this late
ADOPT_SECONDS = 5.0  # of one poll, at the most; what is left over is adopted with the next list
ADOPTED_AT_ONCE = 50  # in one transaction: others wait for it on SQLite
MISSING_AT_ONCE = 200  # jobs that one poll marks as missing
LISTED = (*FOLLOWED, State.READY)  # states of jobs that the list has until the provider deletes them


def apply_list(finetunes: list[FineTune], connection: Connection, asked_at: datetime, source: str) -> bool:
    """Apply the list of a connection, asked for at `asked_at`, to its jobs.

    News of the portal's own jobs come first. New jobs of others are adopted for a limited time, from the list
    alone, and details that could not be had before are fetched last, for a limited time, too: so an account
    with a long past holds up nobody. Return whether no job is left to adopt.
    """
    fetcher = details.DetailFetcher(connection)
    listed_ids = {key for finetune in finetunes for key in finetune.ids}
    items = iter(_active_first(finetunes, connection))
    unknown: list[Unknown] = []
    partial: list[tuple[Job, FineTune]] = []
    while page := list(islice(items, PAGE)):
        renew(connection, seconds=details.LEASE)
        rows, new = _rows_of(page, connection, listed_ids, asked_at)
        for job, finetune in rows:
            if _has_partial_data(job):
                partial.append((job, finetune))
            else:
                _apply(job, finetune, fetcher, source)
        unknown += new
    adopted = _adopt_some(unknown, connection, source)
    for job, finetune in adopted + partial:
        _apply(job, finetune, fetcher, source)
    for job in connection.jobs.filter(state=State.UNCONFIRMED):
        lost.ask_for_decision(job, "Not in the provider's list after 15 minutes.")
    _mark_all_missing(connection, listed_ids, asked_at)
    return len(adopted) == len(unknown)


def _active_first(finetunes: list[FineTune], connection: Connection) -> list[FineTune]:
    active = connection.jobs.filter(state__in=ACTIVE)
    ids, nonces = (
        set(active.values_list("request_id", flat=True)),
        set(active.values_list("nonce", flat=True)),
    )
    return sorted(finetunes, key=lambda each: ids.isdisjoint(each.ids) and _nonce(each) not in nonces)


def _adopt_some(unknown: list[Unknown], connection: Connection, source: str) -> list[tuple[Job, FineTune]]:
    """Adopt jobs until the time is over, with the lease renewed: many in one transaction, without a call."""
    ends = monotonic() + min(ADOPT_SECONDS, connection.poll_seconds / 4)
    adopted: list[tuple[Job, FineTune]] = []
    items = iter(unknown)
    while monotonic() < ends and (batch := list(islice(items, ADOPTED_AT_ONCE))):
        renew(connection, seconds=details.LEASE)
        with transaction.atomic():
            for finetune, first in batch:
                job = _adopt(finetune, first, connection)
                details.update_job(job, finetune, source=source, is_partial=True)
                _note_listed(job, finetune)
                adopted.append((job, finetune))
    return adopted


def _apply(job: Job, finetune: FineTune, fetcher: details.DetailFetcher, source: str) -> None:
    """Apply one item at once, with its details where they can be had now."""
    if _differs(job, finetune):
        fetched = fetcher.fetch(finetune)
        details.update_job(job, fetched or finetune, source=source, is_partial=fetched is None)
    _note_listed(job, finetune)  # last, so that a worker killed before this applies the item again


def _note_listed(job: Job, finetune: FineTune) -> None:
    list_state = _list_state(finetune)
    if job.last_listed_as != list_state:
        Job.objects.filter(pk=job.pk).update(last_listed_as=list_state)
        job.last_listed_as = list_state


def _rows_of(
    page: list[FineTune], connection: Connection, listed_ids: set[str], asked_at: datetime
) -> tuple[list[tuple[Job, FineTune]], list[Unknown]]:
    """Return the job of each item, and the items of no job of the portal.

    Jobs that changed after the list was asked for, and deleted ones, are left out.
    """
    page = _without_deleted(page, connection)
    ids = {key for finetune in page for key in finetune.ids}
    nonces = {_nonce(finetune) for finetune in page}
    jobs = list(Job.objects.filter(Q(request_id__in=ids) | Q(nonce__in=nonces)))
    by_id = {job.request_id: job for job in jobs if job.request_id}
    by_nonce = {job.nonce: job for job in jobs}
    rows: list[tuple[Job, FineTune]] = []
    unknown: list[Unknown] = []
    for finetune in page:
        job, sent = (
            next((by_id[key] for key in finetune.ids if key in by_id), None),
            by_nonce.get(_nonce(finetune)),
        )
        if job is None and (sent is None or _has_another(sent, connection, listed_ids)):
            unknown.append((finetune, sent))
        elif job is None and sent and _claim(sent, connection, finetune):
            rows.append((sent, finetune))
        elif job and job.updated_at <= asked_at:
            rows.append((job, finetune))
    return rows, unknown


def _without_deleted(page: list[FineTune], connection: Connection) -> list[FineTune]:
    ids = {key for finetune in page for key in (*finetune.ids, _nonce(finetune))}
    deleted = DeletedJob.objects.filter(Q(request_id__in=ids) | Q(nonce__in=ids), connection=connection)
    gone = {key for row in deleted.values_list("request_id", "nonce") for key in row if key}
    return [each for each in page if gone.isdisjoint((*each.ids, _nonce(each)))]


def _has_another(sent: Job, connection: Connection, listed_ids: set[str]) -> bool:
    """Whether the job has a training already, here or where a person moved it, so this is a second one."""
    if sent.request_id in listed_ids:
        return True
    is_elsewhere = bool(sent.request_id) and sent.connection_id != connection.pk
    return is_elsewhere and sent.submit_attempts.filter(connection=connection).exists()


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
    is_back = bool(job.error) and job.state in LISTED
    return is_new or lacks_weights or is_back or _has_partial_data(job)


def _has_partial_data(job: Job) -> bool:
    """Whether the job was updated from the list alone, without its details."""
    return bool(job.provider_data.get("partial"))


def _claim(job: Job, connection: Connection, finetune: FineTune) -> bool:
    """Take the listed id for a sent job whose answer is lost, still on its way, or named another id."""
    text = "Found in the provider's list: it was accepted"
    if job.request_id:
        text = "Found in the provider's list by another id"
    has_sent = job.submit_attempts.filter(connection=connection).exists()  # else it has the same account
    return lost.claim(job, connection if has_sent else job.connection, Handle(finetune.id), text)


def _mark_all_missing(connection: Connection, listed_ids: set[str], asked_at: datetime) -> None:
    """Mark the jobs that the list no longer has, some at a time. New ones may come late."""
    sent_before = asked_at - UNTIL_DECISION
    jobs = connection.jobs.filter(
        state__in=LISTED, error="", sent_at__lt=sent_before, updated_at__lte=asked_at, model_deleted_at=None
    )
    missing = [pk for pk, key in jobs.values_list("pk", "request_id") if key not in listed_ids]
    for job in Job.objects.filter(pk__in=missing[:MISSING_AT_ONCE]):
        _mark_missing(job)


def _mark_missing(job: Job) -> None:
    """Note once that a job is not listed. It keeps its last known state, as the list may recover."""
    what = "model" if job.state == State.READY else "job"
    text = f"The provider's list no longer has this {what}. It may have been deleted there."
    with transaction.atomic():
        if Job.objects.filter(pk=job.pk, updated_at=job.updated_at).update(error=text, updated_at=now()):
            note(job, text, source=Source.POLL)


def _adopt(finetune: FineTune, first: Job | None, connection: Connection) -> Job:
    """Make a row for a job started outside the portal, or for a second training of the job `first`."""
    text = "Found at the provider, started outside the portal"
    named = trainers.find(connection, finetune.base_model) if finetune.base_model else None
    trainer = named.id if named else ""
    fields: dict[str, Any] = {
        "name": finetune.name[:80] or finetune.id[:80],
        "connection": connection,
        "state": State.REQUESTED,
        "learning_rate": finetune.learning_rate,
        "steps": finetune.steps,
        "trainer": trainer,
        "parameters": parameters.listed(connection, finetune.advance_parameters, trainer),
        "sent_at": now(),
    }
    if first:
        text = second.sentence(connection)
        fields |= {"name": first.name, "owner": first.owner, "dataset": first.dataset}
    with transaction.atomic():
        job, is_new = Job.objects.get_or_create(request_id=finetune.id, defaults=fields)
        if is_new:
            note(job, text, source=Source.POLL, state=job.state)
            if first:
                second.note_on_first(first, job)
                costs.move_to_second(first, job)
    return job
