"""Follows all jobs of a connection by one list call for the whole team; asks for details of what changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from finetune_portal.connections import capabilities, rate_limit
from finetune_portal.connections import services as connections
from finetune_portal.connections.client import client_for
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import DOUBTFUL, DOWNLOADABLE, FOLLOWED, STATE_OF_PHASE, State
from finetune_portal.jobs.models import Attempt, Job, is_cancelled
from finetune_portal.jobs.sync.submit import UNTIL_DECISION
from finetune_portal.jobs.timeline import Source, move, note
from finetune_portal.providers.segmind import (
    FineTune,
    RateLimitedError,
    RequestRejectedError,
    SegmindError,
    UnauthorizedError,
    phase,
)
from finetune_portal.queue.leases import claim, held_by, jitter, renew

LEASE = 45.0  # longer than one call may take
LONGEST_PAUSE = 300.0
PAGE = 500
PATIENCE = 3
DETAILS_SECONDS = 10.0  # of one look; an account that is new here has hundreds of jobs to ask about
NONCE = 8
NEWS_SECONDS = 5.0  # jobs are not looked up again sooner, however many hooks come
LOOK_ON = timedelta(minutes=5)
LATE = timedelta(hours=1)


def ask_soon() -> None:
    """Look at the next tick, whatever speaks against it."""
    Connection.objects.update(due_at=now())


def look_again() -> None:
    """There may be news: list early, but not while the upstream is away, nor again and again."""
    for connection in Connection.objects.in_use():
        checked = connection.checked_at
        pause = max(news_pause(connection), rate_limit.min_poll_interval(connection))
        soon = max(now(), checked + timedelta(seconds=pause)) if checked else now()
        Connection.objects.filter(pk=connection.pk, failing_since=None, due_at__gt=soon).update(due_at=soon)


def news_pause(connection: Connection) -> float:
    return min(NEWS_SECONDS, connection.poll_seconds)


def follow(*, source: str = Source.POLL) -> bool:
    """One tick: list, bring our rows in line, note how the upstream is. False when it is not yet time."""
    connections.built_in()
    connection = claim(Connection.objects.in_use(), seconds=LEASE)
    if connection is None:
        return False
    if not rate_limit.take_call(connection, reserve=rate_limit.LIST):
        _wait_for_calls(connection)
        return False
    asked = now()
    try:
        with client_for(connection) as client:
            told = client.list()
    except RateLimitedError:
        _wait_for_calls(connection)
    except SegmindError as exc:
        _trouble(connection, exc)
    else:
        if _has_not_looked(connection):  # a lost job may be shown late, so no decision is asked for at once
            connection.jobs.filter(state=State.UNCONFIRMED).update(due_at=now() + LOOK_ON)
        _bring_in_line(told, Asker(connection), asked, source)
        renew(connection, seconds=LEASE)
        _fine(connection, _credits(connection))
    return True


def _has_not_looked(connection: Connection) -> bool:
    """For some time, be it that the upstream was away or the portal."""
    return (
        bool(connection.failing_since)
        or not connection.last_answer_at
        or connection.last_answer_at < now() - LOOK_ON
    )


def _fine(connection: Connection, credits: float | None) -> None:
    moving = connection.jobs.filter(state__in=(*FOLLOWED, *DOUBTFUL, State.QUEUED))
    pause = connection.poll_seconds if moving.exists() else connection.idle_seconds
    pause = max(pause, rate_limit.min_poll_interval(connection))
    recovered = bool(connection.failing_since or connection.is_key_rejected)
    held_by(connection).filter(due_at=connection.due_at).update(due_at=now() + jitter(pause))
    if recovered:
        capabilities.expire(connection)
    held_by(connection).update(
        checked_at=now(),
        last_answer_at=now(),
        failing_since=None,
        failure="" if not connection.is_training_closed else connection.failure,
        is_key_rejected=False,
        credits=credits,
        attempts=0,
        lease_expires_at=None,
        updated_at=now() if recovered or credits != connection.credits else connection.updated_at,
    )


def _credits(connection: Connection) -> float | None:
    """The balance, once a minute and after each training, from calls that nothing else needs."""
    ended = connection.jobs.filter(credits_before__isnull=False, credits_after=None, ended_at__isnull=False)
    is_time = connection.checked_at is None or now().second < connection.poll_seconds or ended.exists()
    if not (is_time and rate_limit.take_call(connection, reserve=rate_limit.CREDITS)):
        return connection.credits
    try:
        with client_for(connection) as client:
            balance = client.credits().credits
    except SegmindError:
        return connection.credits
    ended.update(credits_after=balance, updated_at=now())
    return balance


def _wait_for_calls(connection: Connection) -> None:
    opens = max(1.0, (rate_limit.available_at(connection) - now()).total_seconds())
    again = now() + timedelta(seconds=min(opens, news_pause(connection)))
    held_by(connection).update(attempts=connection.attempts - 1, due_at=again, lease_expires_at=None)


def _trouble(connection: Connection, exc: SegmindError) -> None:
    """Ask ever more seldom; about a key that was refused, seldom from the first time on."""
    since = connection.failing_since or now()
    tries = 8 if isinstance(exc, UnauthorizedError) else min(connection.attempts, 8)
    pause = max(connection.poll_seconds, min(LONGEST_PAUSE, connection.poll_seconds * 2**tries))
    held_by(connection).update(
        checked_at=now(),
        failing_since=since,
        failure=exc.message[:500],
        is_key_rejected=isinstance(exc, UnauthorizedError),
        due_at=now() + jitter(pause),
        lease_expires_at=None,
        updated_at=now(),
    )


@dataclass
class Asker:
    """Asks for details while calls are left, while it goes well, and not for too long."""

    connection: Connection
    patience: int = PATIENCE
    until: float = 0.0

    def details(self, finetune: FineTune) -> FineTune | None:
        """None when they cannot be had now. Where the upstream knows none, the list is all there is."""
        self.until = self.until or monotonic() + DETAILS_SECONDS
        is_time = self.patience > 0 and monotonic() < self.until
        if not (is_time and rate_limit.take_call(self.connection, reserve=rate_limit.DETAILS)):
            self.patience = 0
            return None
        renew(self.connection, seconds=LEASE)
        try:
            with client_for(self.connection) as client:
                return client.details(finetune.id)
        except RequestRejectedError:
            return finetune
        except SegmindError:
            self.patience -= 1
            return None


def _bring_in_line(told: list[FineTune], asker: Asker, asked: datetime, source: str) -> None:
    """In pages, each row by the list at once; its details when they can be had, first those of news."""
    rest, listed = iter(told), {key for finetune in told for key in finetune.ids}
    while page := list(islice(rest, PAGE)):
        rows = list(_rows_of(page, listed, asked, asker.connection))
        for job, finetune in sorted(rows, key=lambda row: bool(row[0].provider_data.get("partial"))):
            if _differs(job, finetune):
                fuller = asker.details(finetune)
                refresh(job, fuller or finetune, source=source, partial=fuller is None)
            word = _word(finetune)
            if job.last_listed_as != word:  # written last: whoever dies before has not looked at it
                Job.objects.filter(pk=job.pk).update(last_listed_as=word)
    for job in asker.connection.jobs.filter(state=State.UNCONFIRMED):
        _give_up_looking(job)
    for job in asker.connection.jobs.filter(state__in=FOLLOWED, error="", sent_at__lt=asked - UNTIL_DECISION):
        if job.request_id not in listed and job.updated_at <= asked:
            _miss(job)


def _rows_of(
    page: list[FineTune], listed: set[str], asked: datetime, connection: Connection
) -> Iterator[tuple[Job, FineTune]]:
    """Our row for each item of the list, by its id or else by the nonce in its name.

    Without the rows of which something newer than this list is known already.
    """
    ids = {key for finetune in page for key in finetune.ids}
    nonces = {finetune.name[-NONCE:] for finetune in page}
    known = list(Job.objects.filter(Q(request_id__in=ids) | Q(nonce__in=nonces)))
    by_id = {job.request_id: job for job in known if job.request_id}
    by_nonce = {job.nonce: job for job in known}
    for finetune in page:
        job = next((by_id[key] for key in finetune.ids if key in by_id), None)
        ours = by_nonce.get(finetune.name[-NONCE:])
        if job is None and ours and ours.request_id not in listed:
            if _found(ours, finetune):
                yield ours, finetune
        elif job is None:
            yield _adopt(finetune, ours, connection), finetune
        elif job.updated_at <= asked:
            yield job, finetune


def _word(finetune: FineTune) -> str:
    """What the list has to say of a job."""
    return f"{finetune.status[:100]} {'public' if finetune.public else 'private'}"


def _differs(job: Job, finetune: FineTune) -> bool:
    """The list says what is not shown, and did not say so last time: details may have other words for it."""
    is_shown = (finetune.status[:100], finetune.public) == (job.provider_status, job.is_public)
    is_new = not is_shown and job.last_listed_as != _word(finetune)
    is_bare = job.state in DOWNLOADABLE and not job.cloud_storage_url and job.updated_at > now() - LATE
    is_back = bool(job.error) and job.state in FOLLOWED
    return is_new or is_bare or is_back or bool(job.provider_data.get("partial"))


def _found(job: Job, finetune: FineTune) -> bool:
    """In the list by its nonce: accepted after all, or by another id than the answer said.

    Its answer may still be on the way, or whoever waited for it died: the list is as good.
    """
    text = "Found in the upstream's list: it was accepted"
    if job.request_id:
        text = "Found in the upstream's list by another id"
    with transaction.atomic():
        fields: dict[str, Any] = {"request_id": finetune.id, "sent_at": now(), "ended_at": None, "error": ""}
        moved = move(job, State.REQUESTED, text, source=Source.POLL, **fields)
        doubtful = job.submit_attempts.filter(outcome__in=(Attempt.Outcome.OPEN, Attempt.Outcome.UNKNOWN))
        doubtful.update(outcome=Attempt.Outcome.ACCEPTED, ended_at=now())
    return moved


def _miss(job: Job) -> None:
    """Said once; the job keeps its last known state, and the list may have it again."""
    text = "The upstream's list does not have it any more. It may have been deleted there."
    with transaction.atomic():
        if Job.objects.filter(pk=job.pk, updated_at=job.updated_at).update(error=text, updated_at=now()):
            note(job, text, source=Source.POLL)


def _give_up_looking(job: Job) -> None:
    last = job.submit_attempts.order_by("-started_at").first()
    if last and last.started_at < now() - UNTIL_DECISION and job.due_at <= now():
        text = "Not in the upstream's list after 15 minutes. Send again, or close it?"
        move(job, State.NEEDS_DECISION, text, source=Source.PORTAL)


def _adopt(finetune: FineTune, first: Job | None, connection: Connection) -> Job:
    """A job made outside the portal with the same key, or a second training of `first`. Marked as such."""
    text = "Found upstream, made outside the portal"
    values: dict[str, Any] = {
        "name": finetune.name[:80] or finetune.id[:80],
        "connection": connection,
        "state": State.REQUESTED,
        "learning_rate": finetune.learning_rate,
        "steps": finetune.steps,
        "sent_at": now(),
    }
    if first:
        text = "Found upstream as a second training of the same job; it may be paid twice"
        values |= {"name": first.name, "owner": first.owner, "dataset": first.dataset}
    with transaction.atomic():
        job, is_new = Job.objects.get_or_create(request_id=finetune.id, defaults=values)
        if is_new:
            note(job, text, source=Source.POLL, state=job.state)
            if first:
                note(first, f"The upstream has a second training of it: job {job.pk}", source=Source.POLL)
    return job


def refresh_one(job: Job, *, source: str) -> None:
    """Ask for the details of one job and bring it in line."""
    with client_for(job.connection) as client:
        found = client.details(str(job.request_id))
    refresh(job, found, source=source)


def refresh(job: Job, finetune: FineTune, *, source: str, partial: bool = False) -> None:
    """Bring one row in line with what the upstream says; the timeline tells who said so."""
    status = finetune.status[:100] or job.provider_status
    state = STATE_OF_PHASE[phase(status)]
    reached = job.reached if state == State.FAILED else state
    fields: dict[str, Any] = {
        "provider_status": status,
        "is_public": finetune.public,
        "slug": finetune.slug[:200] or job.slug,
        "cloud_storage_url": finetune.cloud_storage_url[:2000] or job.cloud_storage_url,
        "is_simulated": finetune.model_information.get("simulated") is True,
        "provider_data": {**finetune.raw, "reached": reached} | ({"partial": True} if partial else {}),
        "error": "",
    }
    if not job.instance_prompt and finetune.instance_prompt:
        fields["instance_prompt"] = finetune.instance_prompt
    if state == State.FAILED:
        fields["error"] = finetune.error_message or "The provider gives no reason."
    if state == State.RUNNING:
        text = f"Provider status: {status}"
    else:
        text = "Cancelled" if is_cancelled(state, fields["error"]) else state.label
    if state == job.state and (state != State.RUNNING or status == job.provider_status):
        if any(getattr(job, name) != value for name, value in fields.items()):
            Job.objects.filter(pk=job.pk).update(updated_at=now(), **fields)
    else:
        move(job, state, text, source=source, detail=finetune.error_message or "", **fields)
