"""Sends a paid job, once. It cannot be repeated or cancelled upstream (docs/reliability.md, 1).

Only what surely never left, and a 429, goes back to the queue by itself. Where the answer was lost the job
is unconfirmed: `sync.py` looks for it in the list, and a person decides the rest.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q
from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections.client import client_for
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.jobs.choices import UNSENT, State
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.jobs.timeline import Source, move
from finetune_portal.providers.segmind import (
    RateLimitedError,
    SegmindError,
    SubmitRequest,
    Submitted,
    TrainingClosedError,
    UnauthorizedError,
)
from finetune_portal.queue.leases import backoff, unleased

LEASE = 180.0
UNTIL_DECISION = timedelta(minutes=15)
LONGEST_PAUSE = 300.0
ARRIVED = Transfer.objects.filter(
    dataset=OuterRef("dataset"), connection=OuterRef("connection"), finished_at__isnull=False
)
IN_PLACE = Exists(ARRIVED) | ~Q(dataset__source_url="")


def release_waiting() -> None:
    """Queue the jobs whose dataset has arrived; refuse those whose dataset was refused."""
    jobs = Job.objects.select_related("dataset")
    for job in jobs.filter(IN_PLACE, state=State.WAITING, dataset__state=Dataset.State.READY):
        move(job, State.QUEUED, "The dataset is in place", source=Source.PORTAL, due_at=now())
    for job in jobs.filter(state__in=UNSENT, dataset__state=Dataset.State.REJECTED):
        reason = job.dataset.problems[0] if job.dataset and job.dataset.problems else ""
        text = f"Not sent: the dataset was refused. {reason}"
        move(job, State.REFUSED, text, source=Source.PORTAL, error=text)


def recover() -> None:
    """A job that was being sent when its worker died: the answer is lost, the money may be spent."""
    for job in Job.objects.filter(unleased(), state=State.SENDING):
        with transaction.atomic():
            if move(job, State.UNCONFIRMED, "The portal stopped while sending", source=Source.PORTAL):
                _close_attempts(job, Attempt.Outcome.UNKNOWN)


def doubt_what_was_not_sent() -> int:
    """After a restore (S17): what waited then may have been sent since. Answers how many there are."""
    text = "The portal was restored from a backup. This training may have been sent after that was made."
    doubtful = 0
    for job in Job.objects.filter(state__in=(*UNSENT, State.SENDING)):
        with transaction.atomic():
            _close_attempts(job, Attempt.Outcome.UNKNOWN)
            Attempt.objects.create(job=job, outcome=Attempt.Outcome.UNKNOWN, ended_at=now(), detail=text)
            doubtful += move(job, State.UNCONFIRMED, text, source=Source.PORTAL, error=text)
    return doubtful


def send_next() -> bool:
    """Send the most overdue job; False when there is none or sending is held back."""
    ready = Job.objects.filter(IN_PLACE, state=State.QUEUED)
    job = rate_limit.claim_with_call(ready, _open(), reserve=rate_limit.SUBMIT, seconds=LEASE)
    if job is None:
        return False
    request = _request(job)
    if request.data_source_path and (attempt := _commit_intent(job)):
        _send(job, attempt, request)
    return True


def _open() -> list[Connection]:
    """After a 401 nothing is sent until the key works again."""
    willing = Connection.objects.in_use().filter(is_key_rejected=False, is_training_closed=False)
    return [connection for connection in willing if not _is_in_doubt(connection)]


def _is_in_doubt(connection: Connection) -> bool:
    """Answers get lost: nothing more is sent until the list was read, and after each further one ever later.

    Else an upstream that answers 500 would make a decision for people out of every job that waits.
    """
    lost = connection.jobs.filter(state=State.UNCONFIRMED).aggregate(
        count=Count("pk"), last=Max("updated_at")
    )
    if not lost["count"]:
        return False
    pause = min(LONGEST_PAUSE, connection.poll_seconds * 2.0 ** min(lost["count"] - 1, 12))
    enough = lost["count"] == 1 or lost["last"] < now() - timedelta(seconds=pause)
    return not (enough and connection.last_answer_at and connection.last_answer_at > lost["last"])


def _hold_back(connection: Connection, exc: SegmindError, **reason: bool) -> None:
    """Write it down for all senders and for the banner, even before the first look at the upstream."""
    told = {**reason, "failure": exc.message[:500], "updated_at": now()}
    Connection.objects.filter(pk=connection.pk).update(**told)


def _commit_intent(job: Job) -> Attempt | None:
    """SENDING and the attempt are in the database before the first byte leaves."""
    with transaction.atomic():
        held = Job.objects.filter(pk=job.pk, state=State.QUEUED, lease=job.lease)
        if not held.update(state=State.SENDING, updated_at=now()):
            return None
        job.state = State.SENDING
        return Attempt.objects.create(job=job)


def _send(job: Job, attempt: Attempt, request: SubmitRequest) -> None:
    try:
        with client_for(job.connection) as client:
            accepted = client.submit(request)
    except SegmindError as exc:
        _settle(job, attempt, exc)
    else:
        _accept(job, attempt, accepted)


def _request(job: Job) -> SubmitRequest:
    dataset = Dataset.objects.get(jobs=job)
    return SubmitRequest(
        name=job.name_at_provider,
        data_source_path=dataset.s3_url_for(job.connection),
        instance_prompt=job.instance_prompt,
        learning_rate=job.learning_rate or 0.0,
        steps=job.steps or 0,
        public=job.wants_public,
        machine_type=job.machine_type,
    )


def _accept(job: Job, attempt: Attempt, accepted: Submitted) -> None:
    """An answer with an id counts, even one so late that the job was given up or found meanwhile."""
    with transaction.atomic():
        stands = _locked(job)
        _end(attempt, Attempt.Outcome.ACCEPTED)
        Job.objects.filter(request_id=accepted.request_id, owner=None).exclude(pk=job.pk).delete()
        if stands.request_id:
            return
        move(
            stands,
            State.REQUESTED,
            "Accepted by the upstream",
            source=Source.PORTAL,
            request_id=accepted.request_id,
            provider_status=accepted.status[:100],
            is_public=job.wants_public,
            credits_before=job.connection.credits,
            sent_at=now(),
            ended_at=None,
            error="",
        )
    soon = now() + timedelta(seconds=job.connection.poll_seconds)
    Connection.objects.filter(pk=job.connection_id, due_at__gt=soon).update(due_at=soon)


def _settle(job: Job, attempt: Attempt, exc: SegmindError) -> None:
    """What a failed try means for the job (docs/reliability.md, 1.2)."""
    with transaction.atomic():
        _locked(job)
        if isinstance(exc, UnauthorizedError):
            _end(attempt, Attempt.Outcome.NOT_SENT, exc)
            _hold_back(job.connection, exc, is_key_rejected=True)
            due = now() + backoff(job.attempts)
            move(job, State.QUEUED, exc.message, source=Source.PORTAL, error=exc.message, due_at=due)
        elif isinstance(exc, RateLimitedError):
            _end(attempt, Attempt.Outcome.BUSY, exc)
            pause = timedelta(seconds=exc.retry_after or 0) or backoff(job.attempts, first=5)
            _back_to_queue(job, exc, pause)
        elif exc.may_have_been_sent:
            _end(attempt, Attempt.Outcome.UNKNOWN, exc)
            text = f"The answer was lost. {exc.message}"
            move(job, State.UNCONFIRMED, text, source=Source.PORTAL, error=text, detail=exc.detail)
            Connection.objects.filter(pk=job.connection_id, failing_since=None).update(due_at=now())
        elif exc.retryable:
            _end(attempt, Attempt.Outcome.NOT_SENT, exc)
            _back_to_queue(job, exc, backoff(job.attempts, first=5))
        else:
            _end(attempt, Attempt.Outcome.REFUSED, exc)
            if isinstance(exc, TrainingClosedError):
                _hold_back(job.connection, exc, is_training_closed=True)
            text = f"{exc.message} Nothing was charged."
            move(job, State.REFUSED, text, source=Source.PORTAL, error=text, detail=exc.detail)


def _locked(job: Job) -> Job:
    """The row as it stands. The job goes before its attempts everywhere, or two wait for each other."""
    return Job.objects.select_for_update().get(pk=job.pk)


def _back_to_queue(job: Job, exc: SegmindError, pause: timedelta) -> None:
    text = f"Not sent yet, will try again. {exc.message}"
    move(
        job,
        State.QUEUED,
        text,
        source=Source.PORTAL,
        error=text,
        due_at=now() + pause,
        detail=exc.detail,
    )


def _end(attempt: Attempt, outcome: Attempt.Outcome, exc: SegmindError | None = None) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(
        ended_at=now(),
        outcome=outcome,
        status=exc.status if exc else 200,
        detail=exc.detail[:2000] if exc else "",
    )


def _close_attempts(job: Job, outcome: Attempt.Outcome) -> None:
    job.submit_attempts.filter(outcome=Attempt.Outcome.OPEN).update(ended_at=now(), outcome=outcome)
