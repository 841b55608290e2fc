"""Submit a paid job exactly once: a provider can neither repeat nor undo it (docs/reliability.md, 1).

A job goes back to the queue by itself only if its request provably never left, after a 429, or if the
provider takes no new jobs at all (connections/closing.py). A job whose answer was lost is unconfirmed:
`apply_list.py` looks for it in the list, and a person decides the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, Max, OuterRef, Q
from django.utils.timezone import now

from finetune_portal.connections import closing, declared, rate_limit, trainers
from finetune_portal.connections.client import adapter_for
from finetune_portal.connections.models import SEGMIND, Connection
from finetune_portal.datasets import transfer
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.jobs import costs, inputs
from finetune_portal.jobs.choices import UNSENT, State
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.jobs.sync import cost, requests, second
from finetune_portal.jobs.timeline import Source, move, note
from finetune_portal.providers.contract import Accepted, JobRequest
from finetune_portal.providers.errors import (
    CallError,
    RateLimitedError,
    TrainingClosedError,
    UnauthorizedError,
)
from finetune_portal.queue.leases import backoff, held_by, unleased

LEASE = 180.0
UNTIL_DECISION = timedelta(minutes=15)
STOPPED = "The portal stopped while it sent this job, so it is not known whether the provider took it."
MAX_PAUSE = 300.0
MAX_DOUBLINGS = 12
TRANSFERRED = Transfer.objects.filter(
    dataset=OuterRef("dataset"), connection=OuterRef("connection"), finished_at__isnull=False
)
IS_READ_BY_SEGMIND = ~Q(dataset__source_url="") & Q(connection__provider=SEGMIND)
HAS_DATASET = Exists(TRANSFERRED) | IS_READ_BY_SEGMIND


def is_needed() -> bool:
    """Whether any job waits to be sent or for its answer; else the functions below have nothing to do."""
    return Job.objects.filter(state__in=(*UNSENT, State.SENDING)).exists()


def release_waiting() -> None:
    """Queue the jobs whose dataset is ready, and refuse those that cannot train theirs."""
    jobs = Job.objects.select_related("dataset")
    for job in jobs.filter(HAS_DATASET, state=State.WAITING, dataset__state=Dataset.State.READY):
        move(job, State.QUEUED, "The dataset is ready", source=Source.PORTAL, due_at=now())
    for job in jobs.filter(state__in=UNSENT, dataset__state=Dataset.State.REJECTED):
        text = f"Not sent: {job.dataset.refusal}" if job.dataset else ""
        move(job, State.REFUSED, text, source=Source.PORTAL, error=text)
    for job in jobs.filter(state__in=UNSENT, dataset__most_inputs__gt=1).defer("dataset__verdict"):
        _refuse_inputs(job)


def _refuse_inputs(job: Job) -> bool:
    """Refuse a job whose trainer takes fewer input images a pair than its dataset has. Whether it did."""
    if sentence := inputs.refusal(job.dataset, job.connection, job.trainer):
        text = f"Not sent. {sentence} Train again with changes to select another trainer."
        move(job, State.REFUSED, text, source=Source.PORTAL, error=text)
    return bool(sentence)


def recover_interrupted() -> None:
    """Mark jobs unconfirmed whose worker died while sending: the answer is lost, but may cost money."""
    for job in Job.objects.filter(unleased(), state=State.SENDING):
        with transaction.atomic():
            if move(job, State.UNCONFIRMED, STOPPED, source=Source.PORTAL, error=STOPPED):
                _close_open_attempts(job, Attempt.Outcome.UNKNOWN)


def mark_unsent_unconfirmed() -> int:
    """After a restore, mark the waiting jobs unconfirmed, as they may have been sent since the backup.

    Return how many there are (docs/reliability.md, S17).
    """
    text = "The portal was restored from a backup. This job may have been sent after the backup was made."
    doubtful = 0
    for job in Job.objects.filter(state__in=(*UNSENT, State.SENDING)):
        with transaction.atomic():
            _close_open_attempts(job, Attempt.Outcome.UNKNOWN)
            job.submit_attempts.create(
                connection=job.connection, outcome=Attempt.Outcome.UNKNOWN, ended_at=now(), detail=text
            )
            doubtful += move(job, State.UNCONFIRMED, text, source=Source.PORTAL, error=text)
    return doubtful


def send_next() -> bool:
    """Send the most overdue job. False when there is none or sending is held back."""
    ready = Job.objects.filter(HAS_DATASET, state=State.QUEUED)
    job = rate_limit.claim_with_call(ready, _sending_connections(), reserve=rate_limit.SUBMIT, seconds=LEASE)
    if job is None:
        return False
    if job.connection.is_training_closed and not closing.take_probe(job.connection):
        held_by(job).update(lease_expires_at=None)  # another worker sends the one try
        return False
    request = _prepare(job)
    if request and cost.note_estimate(job) and (attempt := _start_attempt(job, request)):
        _send(job, attempt, request)
    return True


def _sending_connections() -> Iterator[Connection]:
    """Connections that take jobs; after a 401 none is sent until the key works again."""
    connections = Connection.objects.in_use().filter(is_key_rejected=False)
    return (each for each in connections if each.takes_jobs and not _is_held_back(each))


def _is_held_back(connection: Connection) -> bool:
    """Whether to wait because answers got lost: for the next list, and longer with each lost answer.

    Without the pause a provider that answers 500 would turn every waiting job into a decision for people.
    """
    lost = connection.jobs.filter(state=State.UNCONFIRMED).aggregate(
        count=Count("pk"), last=Max("updated_at")
    )
    if not lost["count"]:
        return False
    pause = min(MAX_PAUSE, connection.poll_seconds * 2.0 ** min(lost["count"] - 1, MAX_DOUBLINGS))
    is_over = lost["count"] == 1 or lost["last"] < now() - timedelta(seconds=pause)
    return not (is_over and connection.last_answer_at and connection.last_answer_at > lost["last"])


def _reject_key(connection: Connection, exc: CallError) -> None:
    """Note the failure for all senders and for the banner, even before the first poll."""
    fields = {"is_key_rejected": True, "failure": exc.message[:500], "updated_at": now()}
    Connection.objects.filter(pk=connection.pk).update(**fields)


def _prepare(job: Job) -> JobRequest | None:
    """The request of the next attempt.

    None if the dataset has no address now: the job waits. None, too, if the trainer does not take it.
    """
    if _refuse_inputs(job):
        return None
    try:
        return requests.next_request(job)
    except UnauthorizedError as exc:
        _reject_key(job.connection, exc)
        _back_to_queue(job, exc, backoff(job.attempts))
    except CallError as exc:
        if exc.retryable:
            pause = timedelta(seconds=getattr(exc, "retry_after", None) or 0)
            _back_to_queue(job, exc, pause or backoff(job.attempts, first=5))
        elif job.dataset and transfer.transfer_anew(job.dataset, job.connection):
            text = f"The provider’s copy of the dataset is of no use, so it gets a new one. {exc.message}"
            move(job, State.WAITING, text, source=Source.PORTAL, detail=exc.detail)
        else:
            text = f"{exc.message}{costs.not_charged(job)}"
            move(job, State.REFUSED, text, source=Source.PORTAL, error=text, detail=exc.detail)
    return None


def _start_attempt(job: Job, request: JobRequest) -> Attempt | None:
    """Commit SENDING and the attempt before the first byte leaves; None if the job was withdrawn."""
    with transaction.atomic():
        held = Job.objects.filter(pk=job.pk, state=State.QUEUED, lease=job.lease)
        if not held.update(state=State.SENDING, updated_at=now()):
            return None
        job.state = State.SENDING
        return job.submit_attempts.create(
            connection=job.connection,
            nonce=request.nonce,
            dataset_address=request.dataset,
            cost=costs.for_attempt(job),
        )


def _send(job: Job, attempt: Attempt, request: JobRequest) -> None:
    try:
        accepted = _submit(job, request)
    except CallError as exc:
        _handle_error(job, attempt, exc)
    else:
        _accept(job, attempt, accepted)


def _submit(job: Job, request: JobRequest) -> Accepted:
    with adapter_for(job.connection) as adapter:
        return adapter.submit(request)


def _accept(job: Job, attempt: Attempt, accepted: Accepted) -> None:
    try:
        _take_id(job, attempt, accepted)
    except IntegrityError:  # another worker has just taken the same id
        _take_id(job, attempt, accepted)
    if closing.note_open(job.connection):
        _show_anew(job.connection)
    soon = now() + timedelta(seconds=job.connection.poll_seconds)
    Connection.objects.filter(pk=job.connection_id, due_at__gt=soon).update(due_at=soon)


def _take_id(job: Job, attempt: Attempt, accepted: Accepted) -> None:
    """Take the id of the answer, even if the job was given up or found in the list in the meantime."""
    with transaction.atomic():
        current = _lock(job)
        others = Job.objects.filter(request_id=accepted.handle.id).exclude(pk=job.pk)
        others.filter(owner=None, created_at__gte=attempt.started_at).delete()  # adopted before the answer
        if (other := others.first()) and not current.request_id:
            _ask_about_same_id(current, attempt, other)
            return
        _close_attempt(attempt, Attempt.Outcome.ACCEPTED)
        if current.request_id:
            is_adopted = declared.lists_jobs(attempt.sent_by)  # by the next list
            if current.request_id != accepted.handle.id and not is_adopted:
                second.adopt(current, attempt, accepted.handle)
            return
        move(
            current,
            State.REQUESTED,
            "Accepted by the provider",
            source=Source.PORTAL,
            cost=attempt.cost_id or 0,
            request_id=accepted.handle.id,
            provider_addresses=dict(accepted.handle.addresses),
            provider_status=accepted.status[:100],
            is_public=job.wants_public,
            **cost.before(job.connection),
            sent_at=now(),
            ended_at=None,
            error="",
        )


def _ask_about_same_id(job: Job, attempt: Attempt, other: Job) -> None:
    """Two submits were answered with one id: perhaps one training for both. A person decides at once."""
    text = (
        f"The provider answered with the id of job {other.pk}, “{other.name}”. It may train only one of "
        f"them{'' if job.connection.is_free else ', and may have charged both'}."
    )
    fields = {"ended_at": now(), "outcome": Attempt.Outcome.UNKNOWN, "status": 200, "detail": text}
    Attempt.objects.filter(pk=attempt.pk).update(**fields)
    move(job, State.NEEDS_DECISION, text, source=Source.PORTAL, error=text)
    note(other, f"The provider gave the same id to job {job.pk}, “{job.name}”", source=Source.PORTAL)


def _handle_error(job: Job, attempt: Attempt, exc: CallError) -> None:
    """Move the job by what its failed attempt means (docs/reliability.md, 1.2)."""
    with transaction.atomic():
        _lock(job)
        if isinstance(exc, UnauthorizedError):
            _close_attempt(attempt, Attempt.Outcome.NOT_SENT, exc)
            _reject_key(job.connection, exc)
            due = now() + backoff(job.attempts)
            move(job, State.QUEUED, exc.message, source=Source.PORTAL, error=exc.message, due_at=due)
        elif isinstance(exc, RateLimitedError):
            _close_attempt(attempt, Attempt.Outcome.BUSY, exc)
            pause = timedelta(seconds=exc.retry_after or 0) or backoff(job.attempts, first=5)
            _back_to_queue(job, exc, pause)
        elif exc.may_have_been_sent:
            _close_attempt(attempt, Attempt.Outcome.UNKNOWN, exc)
            text = f"The answer was lost. {exc.message}"
            move(job, State.UNCONFIRMED, text, source=Source.PORTAL, error=text, detail=exc.detail)
            Connection.objects.filter(pk=job.connection_id, failing_since=None).update(due_at=now())
        elif exc.retryable:
            _close_attempt(attempt, Attempt.Outcome.NOT_SENT, exc)
            _back_to_queue(job, exc, backoff(job.attempts, first=5))
        elif isinstance(exc, TrainingClosedError) and _is_of_trainer(job):
            _close_attempt(attempt, Attempt.Outcome.CLOSED, exc)
            trainers.note_closed(job.connection, job.trainer)
            text = f"{exc.message}{costs.not_charged(job)} Train again with changes to select another one."
            move(job, State.REFUSED, text, source=Source.PORTAL, error=text, detail=exc.detail)
        elif isinstance(exc, TrainingClosedError) and not _is_closed_to_this_one(job, attempt):
            _close_attempt(attempt, Attempt.Outcome.CLOSED, exc)
            closing.note_closed(job.connection, exc.message)
            move(job, State.QUEUED, exc.message, source=Source.PORTAL, error="", due_at=now())
            _show_anew(job.connection)
        else:
            _close_attempt(attempt, Attempt.Outcome.REFUSED, exc)
            if job.connection.is_training_closed:  # its refusal says nothing of the others
                closing.probe_now(job.connection)
            text = f"{exc.message}{costs.not_charged(job)}"
            move(job, State.REFUSED, text, source=Source.PORTAL, error=text, detail=exc.detail)


def _is_of_trainer(job: Job) -> bool:
    """Whether a provider that takes no new jobs says it of their trainer; Segmind's API says it of all."""
    return bool(job.trainer) and not job.connection.speaks_segmind


def _is_closed_to_this_one(job: Job, attempt: Attempt) -> bool:
    """Whether the provider took another job since it first said to this one that it takes none."""
    attempts = Attempt.objects.filter(connection=job.connection_id)
    first = attempts.filter(job=job, outcome=Attempt.Outcome.CLOSED).order_by("started_at").first()
    if first is None:
        return False
    taken = attempts.filter(outcome=Attempt.Outcome.ACCEPTED)
    return taken.filter(started_at__range=(first.started_at, attempt.started_at)).exists()


def _show_anew(connection: Connection) -> None:
    """Have pages draw the jobs that wait for this connection again."""
    connection.jobs.filter(state__in=UNSENT).update(updated_at=now())


def _lock(job: Job) -> Job:
    """Lock the row. A job is locked before its attempts everywhere, which rules out a deadlock."""
    return Job.objects.select_for_update().get(pk=job.pk)


def _back_to_queue(job: Job, exc: CallError, pause: timedelta) -> None:
    text = f"Not sent yet, the portal will try again. {exc.message}"
    move(
        job,
        State.QUEUED,
        text,
        source=Source.PORTAL,
        error=text,
        due_at=now() + pause,
        detail=exc.detail,
    )


def _close_attempt(attempt: Attempt, outcome: Attempt.Outcome, exc: CallError | None = None) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(
        ended_at=now(),
        outcome=outcome,
        status=exc.status if exc else 200,
        detail=exc.detail[:2000] if exc else "",
    )


def _close_open_attempts(job: Job, outcome: Attempt.Outcome) -> None:
    job.submit_attempts.filter(outcome=Attempt.Outcome.OPEN).update(ended_at=now(), outcome=outcome)
