"""Jobs whose answer was lost: take the id under which one is found, or ask a person what to do."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from time import monotonic
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections.client import adapter_for
from finetune_portal.connections.models import Connection
from finetune_portal.jobs import costs
from finetune_portal.jobs.choices import DOUBTFUL, State
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.jobs.sync import requests, second
from finetune_portal.jobs.sync.details import LEASE
from finetune_portal.jobs.sync.submit import UNTIL_DECISION
from finetune_portal.jobs.timeline import Source, move
from finetune_portal.providers.contract import Handle, Match
from finetune_portal.providers.errors import CallError
from finetune_portal.queue.leases import renew

NOT_SHOWN = (
    "The provider’s history does not show it after 15 minutes. It may still run there: a history can lack "
    "what has not ended."
)
SEVERAL = "The provider has several jobs that may be this one. Look there before you send it again."
LOOK_SECONDS = 20.0
INTERVAL, SETTLED_WITHIN = timedelta(minutes=10), timedelta(days=3)


def find_at_provider(connection: Connection) -> None:
    """Look for each lost job by its attempts, at a provider without a list.

    For a limited time, with the lease renewed: the polls of other accounts wait. Chance says which jobs come
    first, so that each has its turn.
    """
    ends = monotonic() + LOOK_SECONDS
    for attempts in _by_job([*_in_doubt(connection), *_settled(connection)]):
        for attempt in attempts:
            renew(connection, seconds=LEASE)
            attempt.job.refresh_from_db()  # another attempt of it may just have been found
            _look_for(attempt.job, attempt)
        if monotonic() > ends:
            break
    for job in connection.jobs.filter(state=State.UNCONFIRMED):
        ask_for_decision(job, NOT_SHOWN)


def _by_job(attempts: list[Attempt]) -> list[list[Attempt]]:
    """The attempts of each job in their order, the jobs in any."""
    groups: dict[int, list[Attempt]] = {}
    for attempt in attempts:
        groups.setdefault(attempt.job_id, []).append(attempt)
    return random.sample(list(groups.values()), len(groups))  # nosec B311  # no secret


def _lost(connection: Connection) -> QuerySet[Attempt]:
    """The attempts of this connection whose answer was lost, whichever connection has the job now."""
    attempts = Attempt.objects.filter(connection=connection, outcome=Attempt.Outcome.UNKNOWN)
    return attempts.select_related("job__connection", "connection")


def _in_doubt(connection: Connection) -> QuerySet[Attempt]:
    """The lost attempts of jobs that wait for what is found, newest first."""
    states = (State.UNCONFIRMED, State.NEEDS_DECISION)
    return _lost(connection).filter(job__state__in=states).order_by("job", "-started_at")


def _settled(connection: Connection) -> Iterator[Attempt]:
    """The lost attempts, each every ten minutes, of jobs that a person sent again, moved or closed.

    A history that only shows what has ended may show them hours after that decision.
    """
    recent = _lost(connection).filter(started_at__gt=now() - SETTLED_WITHIN)
    for attempt in recent.exclude(job__state__in=DOUBTFUL):
        before = connection.checked_at or attempt.started_at
        if (now() - attempt.started_at) // INTERVAL > (before - attempt.started_at) // INTERVAL:
            yield attempt


def _look_for(job: Job, attempt: Attempt) -> None:
    if not (attempt.dataset_address and rate_limit.take_call(attempt.sent_by, reserve=rate_limit.DETAILS)):
        return
    try:
        with adapter_for(attempt.sent_by) as adapter:
            answer = adapter.reconcile(requests.of_attempt(job, attempt, adapter), attempt.started_at)
    except CallError:
        return  # the next poll asks again
    if answer.match is Match.FOUND and answer.handle:
        take(job, attempt, answer.handle, "The provider has it: it was accepted")
    elif answer.match is Match.AMBIGUOUS and job.state == State.UNCONFIRMED:
        move(job, State.NEEDS_DECISION, SEVERAL, source=Source.PORTAL, error=SEVERAL)


def take(job: Job, attempt: Attempt, handle: Handle, text: str, *, source: str = Source.POLL) -> bool:
    """Take the id of an attempt: for the job, or where that has another one for a second training.

    The job goes back to the connection of the attempt. False if somebody else moved it meanwhile, or another
    job has the id already.
    """
    with transaction.atomic():
        if not job.request_id:
            is_taken = _take_id(job, attempt.sent_by, handle, text, source, attempt.cost_id or 0)
        else:
            is_taken = True
            second.adopt(job, attempt, handle)
        if is_taken:  # else the next look has the job as it is by then
            _accept(Attempt.objects.filter(pk=attempt.pk))
    return is_taken


def claim(job: Job, connection: Connection, handle: Handle, text: str) -> bool:
    """Take the listed id for a sent job whose answer is lost, still on its way, or named another id."""
    with transaction.atomic():
        unanswered = job.submit_attempts.filter(outcome__in=(Attempt.Outcome.OPEN, Attempt.Outcome.UNKNOWN))
        cost = costs.cost_of(list(unanswered.order_by("pk")))
        moved = _take_id(job, connection, handle, text, Source.POLL, cost)
        _accept(unanswered)
    return moved


def _take_id(job: Job, connection: Connection, handle: Handle, text: str, source: str, cost: int) -> bool:
    if job.connection_id != connection.pk:
        text = f"{text} by “{connection}”, which has the job again"
    fields: dict[str, Any] = {
        "connection": connection,
        "request_id": handle.id,
        "provider_addresses": dict(handle.addresses),
        "sent_at": now(),
        "ended_at": None,
        "error": "",
    }
    try:
        return move(job, State.REQUESTED, text, source=source, cost=cost, **fields)
    except IntegrityError:  # the id of a job that is known, at this or another provider
        return False


def _accept(attempts: QuerySet[Attempt]) -> None:
    attempts.update(outcome=Attempt.Outcome.ACCEPTED, ended_at=now())


def ask_for_decision(job: Job, reason: str) -> None:
    """After a quarter of an hour a person decides."""
    last = job.submit_attempts.order_by("-started_at").first()
    if last and last.started_at < now() - UNTIL_DECISION and job.due_at <= now():
        text = f"{reason} Send again, or close the job?"
        move(job, State.NEEDS_DECISION, text, source=Source.PORTAL, error=job.error or reason)
