"""Follows all jobs by one list call for the whole team, and asks for details only of what changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from finetune_portal import upstream
from finetune_portal.jobs.choices import DOUBTFUL, FOLLOWED, STATE_OF_PHASE, State
from finetune_portal.jobs.models import Attempt, Connection, Job
from finetune_portal.jobs.submission import UNTIL_DECISION
from finetune_portal.jobs.timeline import Source, move, note
from finetune_portal.segmind import FineTune, SegmindClient, SegmindError, Unauthorized, phase
from finetune_portal.web.leases import claim, mine

LEASE = 60.0


def the_connection() -> Connection:
    return Connection.objects.get_or_create(pk=1)[0]


def ask_soon() -> None:
    """Someone has reason to think that there is news: look at the next tick."""
    the_connection()
    Connection.objects.update(due=now())


def follow(*, source: str = Source.POLL) -> bool:
    """One tick: list, bring our rows in line, note how the upstream is. False when it is not yet time."""
    the_connection()
    connection = claim(Connection.objects.all(), seconds=LEASE)
    if connection is None:
        return False
    client = upstream.get_client()
    try:
        told = client.list()
        _bring_in_line(client, told, source)
        credits = client.credits().credits if _credits_due(connection) else connection.credits
    except SegmindError as exc:
        _trouble(connection, exc)
        return True
    pause = settings.POLL_SECONDS if _is_moving() else settings.POLL_IDLE_SECONDS
    fine = mine(connection)
    recovered = bool(connection.failure or connection.key_refused or connection.is_closed)
    fine.update(
        checked=now(),
        answered=now(),
        failing_since=None,
        failure="" if not connection.is_closed else connection.failure,
        key_refused=False,
        credits=credits,
        attempts=0,
        due=now() + timedelta(seconds=pause),
        lease_until=None,
        changed=now() if recovered or credits != connection.credits else connection.changed,
    )
    return True


def _is_moving() -> bool:
    return Job.objects.filter(state__in=(*FOLLOWED, *DOUBTFUL, State.QUEUED)).exists()


def _credits_due(connection: Connection) -> bool:
    """Once a minute at most, and not at all where it would eat a tight rate limit."""
    return connection.checked is None or now().second < settings.POLL_SECONDS


def _trouble(connection: Connection, exc: SegmindError) -> None:
    since = connection.failing_since or now()
    pause = min(300.0, settings.POLL_SECONDS * 2 ** min(connection.attempts, 8))
    mine(connection).update(
        checked=now(),
        failing_since=since,
        failure=exc.message[:500],
        key_refused=isinstance(exc, Unauthorized),
        due=now() + timedelta(seconds=max(pause, settings.POLL_SECONDS)),
        lease_until=None,
        changed=now(),
    )


def _bring_in_line(client: SegmindClient, told: list[FineTune], source: str) -> None:
    ids = {key for finetune in told for key in finetune.ids}
    known = list(Job.objects.filter(Q(request_id__in=ids) | Q(state__in=DOUBTFUL)))
    ours = {job.request_id: job for job in known if job.request_id}
    doubtful = {job.upstream_name: job for job in known if job.state in DOUBTFUL}
    for finetune in told:
        job = next((ours[key] for key in finetune.ids if key in ours), None)
        if job is None and finetune.name in doubtful:
            job = doubtful.pop(finetune.name)
            if not _found(job, finetune):
                continue
        if job is None:
            job = _adopt(finetune)
        if _differs(job, finetune):
            refresh(job, client.details(finetune.id), source=source)
    for job in doubtful.values():
        _give_up_looking(job)


def _differs(job: Job, finetune: FineTune) -> bool:
    return (
        job.upstream_status != finetune.status
        or job.is_public != finetune.public
        or job.state in DOUBTFUL
        or (job.state in (State.TRAINED, State.DEPLOYING, State.READY) and not job.cloud_storage_url)
    )


def _found(job: Job, finetune: FineTune) -> bool:
    """A lost answer turns up in the list: the job was accepted after all."""
    if job.state == State.SENDING:
        return False  # its answer may still be on the way
    with transaction.atomic():
        job.tries.filter(outcome=Attempt.Outcome.UNKNOWN).update(outcome=Attempt.Outcome.ACCEPTED)
        text = "Found in the upstream's list: it was accepted"
        fields: dict[str, Any] = {"request_id": finetune.id, "sent": now(), "error": ""}
        return move(job, State.REQUESTED, text, source=Source.POLL, **fields)


def _give_up_looking(job: Job) -> None:
    last = job.tries.order_by("-started").first()
    if job.state == State.UNCONFIRMED and last and last.started < now() - UNTIL_DECISION:
        text = "Not in the upstream's list after 15 minutes. Send again, or close it?"
        move(job, State.NEEDS_DECISION, text, source=Source.PORTAL)


def _adopt(finetune: FineTune) -> Job:
    """A job made outside the portal with the same key: shown, and marked as such."""
    with transaction.atomic():
        job = Job.objects.create(
            name=finetune.name[:80] or finetune.id[:80],
            request_id=finetune.id,
            state=State.REQUESTED,
            learning_rate=finetune.learning_rate,
            steps=finetune.steps,
            sent=now(),
        )
        note(job, "Found upstream, made outside the portal", source=Source.POLL, state=job.state)
    return job


def refresh_one(request_id: str, *, source: str) -> Job | None:
    """Ask for the details of one job and bring it in line; None when it is not ours (yet)."""
    job = Job.objects.filter(request_id=request_id).first()
    if job is not None:
        refresh(job, upstream.get_client().details(request_id), source=source)
    return job


def refresh(job: Job, finetune: FineTune, *, source: str) -> None:
    """Bring one row in line with what the upstream says; the timeline tells who said so."""
    state = STATE_OF_PHASE[phase(finetune.status)]
    fields: dict[str, Any] = {
        "upstream_status": finetune.status[:100],
        "is_public": finetune.public,
        "slug": (finetune.slug or "")[:200],
        "cloud_storage_url": finetune.cloud_storage_url or job.cloud_storage_url,
        "is_simulated": finetune.model_information.get("simulated") is True,
        "told": {**finetune.raw, "reached": job.reached if state == State.FAILED else state},
    }
    if not job.instance_prompt and finetune.instance_prompt:
        fields["instance_prompt"] = finetune.instance_prompt
    if state == State.FAILED:
        fields["error"] = finetune.error_message or "The upstream gives no reason."
    text = f"{State(state).label}" if state != State.RUNNING else f"Upstream says {finetune.status}"
    if state == job.state and (state != State.RUNNING or finetune.status == job.upstream_status):
        if any(getattr(job, name) != value for name, value in fields.items()):
            Job.objects.filter(pk=job.pk).update(changed=now(), **fields)
    else:
        move(job, state, text, source=source, detail=finetune.error_message or "", **fields)
