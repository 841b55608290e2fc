"""Runs what waits, in the worker. At the vendor's each run is paid, so none is sent twice by itself.

Only what surely was not taken goes back to the queue. Where the answer was lost, a person decides; the local
engine costs nothing, so there it is tried again.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections.client import asking
from finetune_portal.connections.models import Connection
from finetune_portal.playground import access, results
from finetune_portal.playground.models import Trial
from finetune_portal.providers.segmind import RateLimitedError, RunRequest, SegmindError, UnavailableError
from finetune_portal.queue.leases import backoff, free, keeping, mine

LEASE = 15.0
PATIENCE = timedelta(minutes=15)  # with what was not taken
TRIES = 3
HOSTED = timedelta(hours=1)
LOST = "The answer was lost."
STOPPED = "The portal stopped while it waited for the picture."
GONE = "The picture that this was to be tried on is gone."
UNREADABLE = "The upstream sent something that is no readable picture."
State = Trial.State


def run_next() -> bool:
    """Run what has waited longest. False when there is none, or no call to spare."""
    _recover()
    queued = Trial.objects.filter(state=State.QUEUED)
    trial = rate_limit.claim_with_a_call(
        queued, Connection.objects.in_use(), leave=rate_limit.SUBMIT, seconds=LEASE
    )
    if trial is None:
        return False
    if address := _known_address(trial):
        _run(trial, address)
    else:
        _host(trial)
    return True


def _recover() -> None:
    """Those whose worker died while it waited for the answer."""
    for trial in Trial.objects.filter(free(), state=State.RUNNING):
        _lost(trial, STOPPED, "")


def _known_address(trial: Trial) -> str:
    """Where the upstream finds the picture, if it was hosted a while ago."""
    same = Trial.objects.filter(input=trial.input, connection=trial.connection)
    recent = same.filter(hosted__gt=now() - HOSTED).order_by("-hosted")
    return recent.values_list("hosted_url", flat=True).first() or ""


def _host(trial: Trial) -> None:
    """One call a step: the run itself is the next one's."""
    try:
        picture = trial.input.path.read_bytes()
        with keeping(trial, seconds=LEASE), asking(trial.connection) as client:
            address = client.inference.host(picture)
    except OSError:
        _end(trial, State.FAILED, error=GONE)
    except SegmindError as exc:
        _not_taken(trial, exc)
    else:
        there = {"hosted_url": address, "hosted": now(), "attempts": 0}
        mine(trial).update(**there, due=now(), lease_until=None)


def _run(trial: Trial, address: str) -> None:
    """RUNNING is in the database before the first byte leaves."""
    if not mine(trial).filter(state=State.QUEUED).update(state=State.RUNNING, started=now()):
        return
    request = RunRequest(trial.prompt, address, trial.strength, trial.seed, trial.steps, trial.guidance)
    try:
        with keeping(trial, seconds=LEASE), asking(trial.connection) as client:
            picture = client.inference.run(trial.job.slug, request)
        kind = results.keep(trial, picture)
    except results.Unreadable:
        _end(trial, State.FAILED, error=UNREADABLE)
    except SegmindError as exc:
        if exc.may_have_been_sent:
            _lost(trial, exc.message, exc.detail)
        else:
            _not_taken(trial, exc)
    else:
        if not _end(trial, State.DONE, kind=kind):
            results.forget(trial)  # it was deleted meanwhile


def _lost(trial: Trial, sentence: str, detail: str) -> None:
    if access.is_paid(trial.connection):
        error = f"{LOST} {sentence} It may have been paid."
        _end(trial, State.UNCONFIRMED, error=error, detail=detail)
    elif trial.attempts < TRIES:
        _back(trial, sentence, detail, backoff(trial.attempts))
    else:
        _end(trial, State.FAILED, error=sentence, detail=detail)


def _not_taken(trial: Trial, exc: SegmindError) -> None:
    if exc.retryable and trial.created > now() - PATIENCE:
        told = exc.retry_after if isinstance(exc, RateLimitedError | UnavailableError) else None
        _back(trial, exc.message, exc.detail, timedelta(seconds=told) if told else backoff(trial.attempts))
    else:
        charged = " Nothing was charged." if access.is_paid(trial.connection) else ""
        _end(trial, State.FAILED, error=f"{exc.message}{charged}", detail=exc.detail)


def _back(trial: Trial, sentence: str, detail: str, pause: timedelta) -> None:
    waits = {"error": sentence, "detail": detail, "due": now() + pause, "lease_until": None}
    mine(trial).update(state=State.QUEUED, **waits)


def _end(trial: Trial, state: Trial.State, **fields: str) -> bool:
    told = {"error": "", "detail": "", **fields, "ended": now(), "lease_until": None}
    return bool(mine(trial).update(state=state, **told))
