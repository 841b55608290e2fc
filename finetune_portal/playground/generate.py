"""Run the models of queued generations, in the worker. A provider may charge for each, so none is sent twice.

Only what a provider certainly did not accept goes back to the queue. Where its answer was lost, a person
decides; the local engine is free, so there the portal tries again by itself. A provider that gave the model a
name (its slug) runs it by that, another one by the address of its file.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections import services as connections
from finetune_portal.connections.client import adapter_for
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import MODEL_DELETED, mark_file_gone, note_pictures
from finetune_portal.jobs.sync import weights
from finetune_portal.playground import access, bills, costs, results
from finetune_portal.playground.models import Generation
from finetune_portal.providers.contract import GenerateRequest
from finetune_portal.providers.errors import (
    CallError,
    GoneError,
    RateLimitedError,
    RequestRejectedError,
    StorageError,
    UnavailableError,
)
from finetune_portal.queue.leases import backoff, held_by, renewing, unleased
from finetune_portal.storage import files
from finetune_portal.web.disk_full import DiskFullError

LEASE = 15.0
RETRY_FOR = timedelta(minutes=15)  # what a provider did not accept
TRIES = 3
RESULT_BYTES = 32 * 1024 * 1024  # room that is taken before a picture is paid
HOSTED_FOR = timedelta(hours=1)
ANSWER_LOST = "The answer was lost."
CHARGED = "It may have been charged."
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
        with renewing(generation, seconds=LEASE):
            url = _put_image(generation.connection, picture)
    except OSError:
        costs.release(generation)
        _end(generation, State.FAILED, error=INPUT_MISSING)
    except CallError as exc:
        _not_accepted(generation, exc)
    else:
        fields = {"hosted_url": url, "hosted_at": now(), "attempts": 0}
        held_by(generation).update(**fields, due_at=now(), lease_expires_at=None)


def _put_image(connection: Connection, picture: bytes) -> str:
    with adapter_for(connection) as adapter:
        return adapter.put_image(picture)


def _run(generation: Generation, url: str) -> None:
    """Run the model, with room for its picture. RUNNING is committed before the first byte leaves."""
    if sentence := _why_not_sent(generation):
        costs.release(generation)
        _end(generation, State.FAILED, error=f"{sentence}{_not_charged(generation)}")
        return
    try:
        with files.draft(RESULT_BYTES) as draft:
            _run_into(draft, generation, url)
    except DiskFullError as exc:
        _requeue(generation, str(exc), "", backoff(generation.attempts))


def _why_not_sent(generation: Generation) -> str:
    """Why the run is certain to bring nothing; empty if it may."""
    if generation.job.model_deleted_at:  # after the run was queued
        return MODEL_DELETED
    return access.FILE_GONE if not generation.job.slug and _is_file_gone(generation) else ""


def _is_file_gone(generation: Generation) -> bool:
    """Look for the file of the model, and note if it is gone: its provider would find that in a paid run."""
    job = generation.job
    try:
        with renewing(generation, seconds=LEASE):
            link, files = weights.link_to(job, somebody_waits=False)
            files.check(link)
    except StorageError as exc:
        if exc.is_gone:
            mark_file_gone(job)
        return exc.is_gone
    except CallError:
        return False  # the provider may reach what the portal does not
    return False


def _run_into(draft: Path, generation: Generation, url: str) -> None:
    if not held_by(generation).filter(state=State.QUEUED).update(state=State.RUNNING, started_at=now()):
        return
    connections.note_other_payment(generation.connection)
    try:
        with renewing(generation, seconds=LEASE):
            picture = _picture_of(generation, generation.job, url)
            kind = results.save(generation, picture, draft)
    except results.UnreadableResultError:
        costs.accept(generation)
        _end(generation, State.FAILED, error=UNREADABLE)
    except DiskFullError as exc:  # a picture larger than any before
        costs.accept(generation)
        _end(generation, State.FAILED, error=str(exc))
    except CallError as exc:
        _no_picture(generation, exc)
    else:
        costs.accept(generation)
        if not _end(generation, State.DONE, kind=kind):
            results.delete(generation)  # the generation was deleted meanwhile
    connections.note_other_payment(generation.connection)


def _picture_of(generation: Generation, job: Job, url: str) -> bytes:
    """Run the model by exactly one paid request."""
    numbers = (generation.strength, generation.seed, generation.steps, generation.guidance)
    model = job.slug or job.cloud_storage_url
    request = GenerateRequest(job.trainer, model, [url], generation.prompt, *numbers)
    with adapter_for(generation.connection) as adapter:
        try:
            return adapter.generate(request, on_accepted=partial(bills.wait_for, generation, adapter))
        finally:
            _note_cost(generation, adapter.run_cost)


def _note_cost(generation: Generation, cost: float | None) -> None:
    """Add what the provider says that the run cost, also where its picture does not arrive."""
    if cost is not None:
        held_by(generation).update(cost=Coalesce(F("cost"), 0.0) + cost)
        costs.bill(generation, cost)


def _no_picture(generation: Generation, exc: CallError) -> None:
    is_answer = isinstance(exc, RequestRejectedError) and not isinstance(exc, GoneError)
    if not exc.may_have_been_sent:
        _not_accepted(generation, exc)
    elif is_answer:  # the provider took the run, and says why it ended without a picture
        charged = f" {CHARGED}" if access.is_paid(generation.connection) else ""
        costs.accept(generation)
        _end(generation, State.FAILED, error=f"{exc.message}{charged}", detail=exc.detail)
    else:
        _answer_lost(generation, exc.message, exc.detail)


def _answer_lost(generation: Generation, sentence: str, detail: str) -> None:
    if access.is_paid(generation.connection):
        error = f"{ANSWER_LOST} {sentence} {CHARGED}"
        costs.doubt(generation)
        _end(generation, State.UNCONFIRMED, error=error, detail=detail)
    elif generation.attempts < TRIES:
        _requeue(generation, sentence, detail, backoff(generation.attempts))
    else:
        _end(generation, State.FAILED, error=sentence, detail=detail)


def _not_accepted(generation: Generation, exc: CallError) -> None:
    if exc.retryable and generation.created_at > now() - RETRY_FOR:
        seconds = exc.retry_after if isinstance(exc, RateLimitedError | UnavailableError) else None
        pause = timedelta(seconds=seconds) if seconds else backoff(generation.attempts)
        _requeue(generation, exc.message, exc.detail, pause)
    else:
        costs.release(generation)
        _end(generation, State.FAILED, error=f"{exc.message}{_not_charged(generation)}", detail=exc.detail)


def _not_charged(generation: Generation) -> str:
    return " Nothing was charged." if access.is_paid(generation.connection) else ""


def _requeue(generation: Generation, error: str, detail: str, pause: timedelta) -> None:
    error = f"{error} The portal tries again by itself."
    fields = {"error": error, "detail": detail, "due_at": now() + pause, "lease_expires_at": None}
    is_kept = held_by(generation).update(state=State.QUEUED, **fields)
    if not is_kept and not Generation.objects.filter(pk=generation.pk).exists():
        costs.release(generation)  # it was deleted meanwhile, so nobody sends it any more


def _end(generation: Generation, state: Generation.State, **result: str) -> bool:
    fields = {"error": "", "detail": "", **result, "ended_at": now(), "lease_expires_at": None}
    with transaction.atomic():
        if state == State.DONE:
            note_pictures(generation.job)  # first: a job is locked before its runs everywhere
        return bool(held_by(generation).update(state=state, **fields))
