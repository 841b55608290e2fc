"""What must hold when all is at rest again: the portal's rows against the ledger of the fake provider.

The names I1 to I6 are those of docs/reliability.md, 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django.db import connection

from finetune_portal.audit.models import AuditEvent
from finetune_portal.datasets.models import Transfer
from finetune_portal.jobs.choices import ENDED, FOLLOWED, UNSENT, State
from finetune_portal.jobs.models import Attempt, Job
from tests.faults.targets import Ledger
from tests.provider import Job as Paid

REPORTED = (*FOLLOWED, State.READY, State.FAILED)
MAY_FOLLOW: dict[str, tuple[State, ...]] = {
    "": UNSENT,
    State.APPROVAL: (State.WAITING, State.QUEUED, State.CLOSED),
    State.WAITING: (State.QUEUED, State.APPROVAL, State.REFUSED, State.CLOSED),
    State.QUEUED: (
        *(State.QUEUED, State.REQUESTED, State.UNCONFIRMED, State.NEEDS_DECISION),
        *(State.WAITING, State.APPROVAL, State.REFUSED, State.CLOSED),
    ),
    State.UNCONFIRMED: (State.REQUESTED, State.NEEDS_DECISION),
    State.NEEDS_DECISION: (State.REQUESTED, State.QUEUED, State.CLOSED),
    State.REFUSED: (State.REQUESTED,),
    State.CLOSED: (State.REQUESTED,),
    **dict.fromkeys(REPORTED, REPORTED),
}
RESENT = "Sent again by decision"


def faults(ledger: Ledger) -> list[str]:
    """Each sentence is something lost, paid twice or out of order."""
    paid = ledger.jobs
    jobs = list(Job.objects.exclude(owner=None).prefetch_related("events", "submit_attempts"))
    problems = [*_paid_twice(jobs, paid), *_lost(jobs, paid), *_not_as_told(jobs, paid)]
    for job in jobs:
        problems += _out_of_order(job)
    problems += _unrecorded(ledger, jobs)
    problems += _stored_otherwise(ledger)
    return problems


def charges(job: Job, paid: list[Paid]) -> int:
    return sum(each.name.endswith(job.nonce) for each in paid)


def choices(job: Job) -> int:
    """How often a person chose to send it again."""
    return sum(event.text.startswith(RESENT) for event in job.events.all())


def _paid_twice(jobs: list[Job], paid: list[Paid]) -> Iterator[str]:
    """I1"""
    for job in jobs:
        if charges(job, paid) > 1 + choices(job):
            yield f"duplicate: {job.pk} was charged {charges(job, paid)} times, chosen {choices(job)} times"
    for key, times in Counter(job.form_key for job in jobs).items():
        if times > 1:
            yield f"duplicate: {times} jobs of one form {key}"


def _lost(jobs: list[Job], paid: list[Paid]) -> Iterator[str]:
    """I2: each paid job has its row, which is its maker's; a hidden one may wait for a decision."""
    rows = {job.request_id for job in jobs}
    settled = (State.NEEDS_DECISION, State.CLOSED)
    doubtful = {job.nonce for job in jobs if job.state in settled or choices(job)}
    for each in paid:
        if each.id not in rows and not (each.hidden and each.name[-8:] in doubtful):
            yield f"lost: {each.name} ({each.status}) has no row"


def _not_as_told(jobs: list[Job], paid: list[Paid]) -> Iterator[str]:
    """I3, I4"""
    states = {each.id: each.status for each in paid}
    for job in jobs:
        status = states.get(job.request_id or "")
        if job.state not in (*ENDED, State.NEEDS_DECISION):
            yield f"illegal: {job.pk} rests in {job.state}"
        elif (job.state == State.READY) != (status == "AVAILABLE"):
            yield f"illegal: {job.pk} is {job.state}, provider {status}"
        elif job.state == State.REFUSED and charges(job, paid):
            yield f"illegal: {job.pk} is refused but was charged"


def _out_of_order(job: Job) -> Iterator[str]:
    """I3: a legal way through the states, times that never go back, the last line being the state."""
    events = list(job.events.all())
    way = [event.state for event in events if event.state]
    for before, after in zip(["", *way], way, strict=False):
        if after not in MAY_FOLLOW[before] and not _is_second(job):
            yield f"timeline: {job.pk} went from {before or 'nothing'} to {after}"
    if [event.created_at for event in events] != sorted(event.created_at for event in events):
        yield f"timeline: {job.pk} goes back in time"
    if not way or way[-1] != job.state:
        yield f"timeline: {job.pk} is {job.state}, its last line says {way[-1:]}"
    if any(
        attempt.outcome == Attempt.Outcome.OPEN or attempt.ended_at is None
        for attempt in job.submit_attempts.all()
    ):
        yield f"attempts: {job.pk} has an open one"


def _is_second(job: Job) -> bool:
    """A second training, found at the provider after a person had it sent again."""
    return not job.submit_attempts.all() and job.request_id is not None


def _unrecorded(ledger: Ledger, jobs: list[Job]) -> Iterator[str]:
    """I6: no submit without an attempt that was written down before it. No start without an audit row."""
    arrived = Counter(ledger.submits)
    for job in jobs:
        attempts = len(job.submit_attempts.all())
        if arrived[job.nonce] > attempts:
            yield f"attempts: {job.pk} was sent {arrived[job.nonce]} times with {attempts} rows"
        started = AuditEvent.objects.filter(action="job.start", thing=f"job {job.pk}").count()
        if started != 1 and not _is_second(job):
            yield f"audit: {job.pk} has {started} rows of its start"


def _stored_otherwise(ledger: Ledger) -> Iterator[str]:
    """The storage has the file, byte by byte; and the database is whole."""
    for transfer in Transfer.objects.select_related("dataset"):
        if not any(each == transfer.dataset.path.read_bytes() for each in ledger.stored.values()):
            yield f"lost: dataset {transfer.dataset_id} is not in the storage"
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            whole = cursor.execute("PRAGMA quick_check").fetchone()[0]
        if whole != "ok":
            yield f"database: {whole}"
