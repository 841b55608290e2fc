"""Run the models of queued generations, in the worker. A provider may charge for each, so none is sent twice.

Only what a provider certainly did not accept goes back to the queue. Where its answer was lost, a person
decides; the local engine is free, so there the portal tries again by itself.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections import services as connections
from finetune_portal.connections.client import client_for
from finetune_portal.connections.models import Connection
from finetune_portal.playground import access, results
from finetune_portal.playground.models import Generation
from finetune_portal.providers.segmind import RateLimitedError, RunRequest, SegmindError, UnavailableError
from finetune_portal.queue.leases import backoff, held_by, renewing, unleased

LEASE = 15.0
RETRY_FOR = timedelta(minutes=15)  # what a provider did not accept
TRIES = 3
HOSTED_FOR = timedelta(hours=1)
ANSWER_LOST = "The answer was lost."
STOPPED = "The portal stopped while it waited for the picture."
INPUT_MISSING = "The input picture of this run no longer exists."
UNREADABLE = "The provider sent something that is not a readable picture."
State = Generation.State


def generate_next() -> bool:
    """Make the generation that has waited longest. False when none is queued or no call is left."""
    _recover()
    queued = Generation.objects.filter(state=State.QUEUED)
    generation = rate_limit.claim_with_call(
        queued, Connection.objects.in_use(), reserve=rate_limit.SUBMIT, seconds=LEASE
    )
    if generation is None:
        return False
    if url := _hosted_url(generation):
        _run(generation, url)
    else:
        _host_input(generation)
    return True


def _recover() -> None:
    """End or requeue generations whose worker died while it waited for the answer."""
    for generation in Generation.objects.filter(unleased(), state=State.RUNNING):
        _answer_lost(generation, STOPPED, "")


def _hosted_url(generation: Generation) -> str:
    """The URL of the input at the provider, if it was hosted there within the last hour."""
    same_input = Generation.objects.filter(input=generation.input, connection=generation.connection)
    recent = same_input.filter(hosted_at__gt=now() - HOSTED_FOR).order_by("-hosted_at")
    return recent.values_list("hosted_url", flat=True).first() or ""


def _host_input(generation: Generation) -> None:
    """Upload the input picture. One step makes one call: the next one runs the model."""
    try:
        picture = generation.input.path.read_bytes()
        with renewing(generation, seconds=LEASE), client_for(generation.connection) as client:
            url = client.inference.upload_image(picture)
    except OSError:
        _end(generation, State.FAILED, error=INPUT_MISSING)
    except SegmindError as exc:
        _not_accepted(generation, exc)
    else:
        fields = {"hosted_url": url, "hosted_at": now(), "attempts": 0}
        held_by(generation).update(**fields, due_at=now(), lease_expires_at=None)


def _run(generation: Generation, url: str) -> None:
    """Run the model. RUNNING is committed before the first byte leaves."""
    if not held_by(generation).filter(state=State.QUEUED).update(state=State.RUNNING, started_at=now()):
        return
    numbers = (generation.strength, generation.seed, generation.steps, generation.guidance)
    request = RunRequest(generation.prompt, url, *numbers)
    connections.note_other_payment(generation.connection)
    try:
        with renewing(generation, seconds=LEASE), client_for(generation.connection) as client:
            picture = client.inference.run(generation.job.slug, request)
        kind = results.save(generation, picture)
    except results.UnreadableResultError:
        _end(generation, State.FAILED, error=UNREADABLE)
    except SegmindError as exc:
        if exc.may_have_been_sent:
            _answer_lost(generation, exc.message, exc.detail)
        else:
            _not_accepted(generation, exc)
    else:
        if not _end(generation, State.DONE, kind=kind):
            results.delete(generation)  # the generation was deleted meanwhile
    connections.note_other_payment(generation.connection)


def _answer_lost(generation: Generation, sentence: str, detail: str) -> None:
    if access.is_paid(generation.connection):
        error = f"{ANSWER_LOST} {sentence} It may have been charged."
        _end(generation, State.UNCONFIRMED, error=error, detail=detail)
    elif generation.attempts < TRIES:
        _requeue(generation, sentence, detail, backoff(generation.attempts))
    else:
        _end(generation, State.FAILED, error=sentence, detail=detail)


def _not_accepted(generation: Generation, exc: SegmindError) -> None:
    if exc.retryable and generation.created_at > now() - RETRY_FOR:
        seconds = exc.retry_after if isinstance(exc, RateLimitedError | UnavailableError) else None
        pause = timedelta(seconds=seconds) if seconds else backoff(generation.attempts)
        _requeue(generation, exc.message, exc.detail, pause)
    else:
        charged = " Nothing was charged." if access.is_paid(generation.connection) else ""
        _end(generation, State.FAILED, error=f"{exc.message}{charged}", detail=exc.detail)


def _requeue(generation: Generation, error: str, detail: str, pause: timedelta) -> None:
    error = f"{error} The portal tries again by itself."
    fields = {"error": error, "detail": detail, "due_at": now() + pause, "lease_expires_at": None}
    held_by(generation).update(state=State.QUEUED, **fields)


def _end(generation: Generation, state: Generation.State, **result: str) -> bool:
    fields = {"error": "", "detail": "", **result, "ended_at": now(), "lease_expires_at": None}
    return bool(held_by(generation).update(state=state, **fields))
