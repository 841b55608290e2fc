"""Actions on jobs: start, withdraw, publish, download, settle a lost answer, describe."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import closing, parameters
from finetune_portal.connections.client import client_for_user_action
from finetune_portal.connections.models import Connection
from finetune_portal.datasets import transfer
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import limits, model_links
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync.model_stream import ModelStream
from finetune_portal.jobs.timeline import Source, move, note
from finetune_portal.providers.contract import ParameterError
from finetune_portal.providers.segmind import SegmindClient, SegmindError, StorageError
from finetune_portal.web.errors import ActionError, ProviderError

FILE_GONE = "The provider no longer has the file of this model: it was deleted there."
GONE = (404, 410)  # of a link to a file that the provider had
AUDIT_TEXT_LENGTH = 200  # of a changed text in the audit record


def start_all(
    *,
    actor: User,
    dataset: Dataset,
    form_key: uuid.UUID,
    parameter_sets: list[dict[str, Any]],
    exceed: bool = False,
) -> list[Job]:
    """Start one job for each set of parameters, all or none; several are a sweep.

    The same form, sent twice, makes the same jobs. Raises LimitExceededError, unless an admin sets `exceed`.
    """
    if len(parameter_sets) == 1:
        wanted = {form_key: parameter_sets[0]}
    else:
        keys = [uuid.uuid5(form_key, f"{each['learning_rate']!r} {each['steps']}") for each in parameter_sets]
        wanted = {key: {**each, "sweep": form_key} for key, each in zip(keys, parameter_sets, strict=True)}
    with transaction.atomic():
        limits.lock()
        existing = {job.form_key: job for job in Job.objects.filter(form_key__in=wanted, owner=actor)}
        if not (exceed and actor.can_administer):
            limits.check(actor, [each["connection"] for key, each in wanted.items() if key not in existing])
        return [
            existing.get(key) or _start(actor=actor, dataset=dataset, form_key=key, **each)
            for key, each in wanted.items()
        ]


def _start(*, actor: User, dataset: Dataset, connection: Connection, **fields: Any) -> Job:
    """Make the job; the worker sends it."""
    state = _first_state(dataset, connection)
    job = Job.objects.create(owner=actor, dataset=dataset, connection=connection, state=state, **fields)
    note(job, "Started", source=Source.PERSON, actor=actor, state=state)
    record(actor, "job.start", job, name=job.name, steps=job.steps)
    return job


def _first_state(dataset: Dataset | None, connection: Connection) -> State:
    is_there = dataset is not None and transfer.ensure_transferred(dataset, connection)
    return State.QUEUED if is_there else State.WAITING


def withdraw(job: Job, *, actor: User) -> None:
    """Withdraw a job that is not sent yet. Nothing is charged."""
    text = "Withdrawn before it was sent"
    with transaction.atomic():
        if not (job.can_withdraw and move(job, State.CLOSED, text, source=Source.PERSON, actor=actor)):
            raise ActionError("Too late to withdraw: the job is already being sent.")
        record(actor, "job.withdraw", job)


def change_connection(job: Job, connection: Connection, *, actor: User) -> None:
    """Send a waiting job by another connection. Raises LimitExceededError where that one costs money."""
    if not connection.takes_jobs:
        raise ActionError(closing.refusal(connection))
    try:
        parameters.read(connection, job.parameters)
    except ParameterError as exc:
        raise ActionError(str(exc)) from None
    with transaction.atomic():
        if job.connection.is_free:
            limits.lock()
            limits.check(actor, [connection])
        before, text = str(job.connection), f"Moved to “{connection}”"
        fields: dict[str, Any] = {"connection": connection, "error": "", "due_at": now(), "lease": None}
        state = _first_state(job.dataset, connection)
        is_waiting = job.can_withdraw and job.dataset is not None
        if not (is_waiting and move(job, state, text, source=Source.PERSON, actor=actor, **fields)):
            raise ActionError("Too late to change the connection: the job is already being sent.")
        record(actor, "job.connection", job, before=before, after=str(connection))


def set_public(job: Job, *, public: bool, actor: User) -> None:
    """Make a model public or private, at the provider first (docs/provider-api.md, 5)."""
    if not job.request_id:
        raise ActionError("There is no model yet to make public or private.")
    if public and not limits.may_publish(actor):
        raise ActionError(limits.ONLY_ADMINS_PUBLISH)
    try:
        with client_for_user_action(job.connection) as client:
            client.set_public(job.request_id, public=public)
    except SegmindError as exc:
        raise ProviderError(f"Visibility was not changed. {exc.message}", exc.detail) from None
    with transaction.atomic():
        Job.objects.filter(pk=job.pk).update(is_public=public, updated_at=now())
        text = "Made public" if public else "Made private"
        note(job, text, source=Source.PERSON, actor=actor)
        record(actor, "job.public" if public else "job.private", job, name=job.name)
    job.is_public = public


def download_link(job: Job, *, actor: User) -> str:
    """Get a fresh link to the `.safetensors`, valid for one hour and never stored.

    A URL of the provider's storage (docs/provider-api.md, 6). For an engine, which a browser may not reach, a
    path of the portal, to be joined with its address.
    """
    if not job.can_download:
        raise ActionError("The model file is not there yet. Download it once the training is done.")
    try:
        with client_for_user_action(job.connection) as client:
            link = client.download_url(job.cloud_storage_url)
    except SegmindError as exc:
        if exc.status in GONE:
            mark_file_gone(job)
        raise ProviderError(f"No download link. {exc.message}", exc.detail) from None
    _check_file(job, client, link)
    record(actor, "job.download", job, name=job.name)
    return model_links.link_for(job, actor) if job.connection.is_engine else link


def open_model_file(job: Job) -> ModelStream:
    """Open the file of a model at an engine, to pass it on. Raises ProviderError."""
    try:
        return ModelStream(job)
    except SegmindError as exc:
        raise ProviderError(f"No download. {exc.message}", exc.detail) from None


def _check_file(job: Job, client: SegmindClient, link: str) -> None:
    """Check that the link leads to the file, as a browser would show the storage's XML instead.

    A browser may reach a storage that the portal does not, so only an answer counts.
    """
    try:
        client.check_file(link)
    except StorageError as exc:
        if exc.is_gone:
            mark_file_gone(job)
            raise ActionError(FILE_GONE, exc.detail) from None
        raise ProviderError(f"No download. {exc.message}", exc.detail) from None
    except SegmindError:
        return
    if job.file_gone_at:
        Job.objects.filter(pk=job.pk).update(file_gone_at=None, updated_at=now())


def mark_file_gone(job: Job) -> None:
    """Note once that the provider deleted the model file."""
    with transaction.atomic():
        if Job.objects.filter(pk=job.pk, file_gone_at=None).update(file_gone_at=now(), updated_at=now()):
            note(job, FILE_GONE, source=Source.PORTAL)


def decide(job: Job, *, resend: bool, actor: User) -> None:
    """Settle a job whose answer was lost: send it again, at the risk of paying twice, or close it."""
    if job.state != State.NEEDS_DECISION:
        raise ActionError("There is nothing left to decide: the job has moved on.")
    with transaction.atomic():
        if resend:
            text = "Sent again by decision; it may be paid for twice"
            moved = move(job, State.QUEUED, text, source=Source.PERSON, actor=actor, due_at=now(), error="")
        else:
            moved = move(job, State.CLOSED, "Closed by decision", source=Source.PERSON, actor=actor)
        if moved:
            record(actor, "job.resend" if resend else "job.close", job, name=job.name)


def describe(job: Job, *, name: str, note_text: str, tags: str, actor: User) -> None:
    """Change the name, note and tags in the portal; the provider does not get them."""
    fields = {"name": name, "note": note_text, "tags": tags}
    with transaction.atomic():
        Job.objects.filter(pk=job.pk).update(updated_at=now(), **fields)
        for field, text in fields.items():
            before = str(getattr(job, field))
            if before != text:
                record(
                    actor,
                    f"job.{field}",
                    job,
                    before=before[:AUDIT_TEXT_LENGTH],
                    after=text[:AUDIT_TEXT_LENGTH],
                )
