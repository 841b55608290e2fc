"""Actions on jobs: start, withdraw, publish, settle a lost answer, describe."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import closing, parameters
from finetune_portal.connections.client import adapter_for_user_action
from finetune_portal.connections.models import Connection
from finetune_portal.costs import services as ledger
from finetune_portal.costs.models import Cost
from finetune_portal.datasets import transfer
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import costs, inputs, limits, placement, sweeps
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync import requests
from finetune_portal.jobs.timeline import Source, move, note
from finetune_portal.projects import access
from finetune_portal.projects.models import Project
from finetune_portal.providers.contract import Money
from finetune_portal.providers.errors import CallError
from finetune_portal.providers.parameter import ParameterError
from finetune_portal.web.errors import ActionError, ProviderError

FILE_GONE = "The provider no longer has the file of this model: it was deleted there."
MODEL_DELETED = "This model was deleted."
JOB_GONE = "The job was deleted meanwhile, so nothing was changed."
SENT_BEFORE = "This form was sent before. Open a new one."
DECIDED = "There is nothing left to decide: somebody was faster, or the job was withdrawn."
NOT_BEST = "No longer the best of its sweep"
GONE = (404, 410)  # of a link to a file that the provider had
AUDIT_TEXT_LENGTH = 200  # of a changed text in the audit record


def start_all(
    *,
    actor: User,
    dataset: Dataset,
    form_key: uuid.UUID,
    parameter_sets: list[dict[str, Any]],
    project: Project | None = None,
    exceed: bool = False,
    prices: list[Money | None] | None = None,
) -> list[Job]:
    """Start one job for each set of parameters, all or none; several are a sweep.

    The same form, sent twice, makes the same jobs. Raises LimitExceededError or BudgetExceededError, unless
    an admin sets `exceed`, and ActionError where the project may not have them. A job over a budget that
    asks waits for an approval.
    `prices`: those of the jobs, where the caller has a transaction, in which no provider is asked.
    """
    may_exceed = exceed and actor.can_administer
    if prices is None:
        prices = prices_of(dataset, parameter_sets)
    wanted = sweeps.by_key(form_key, parameter_sets)
    with transaction.atomic():
        limits.lock()
        if is_of_others(actor, form_key):
            raise ActionError(SENT_BEFORE)
        earlier = Job.objects.filter(form_key__in=wanted, owner=actor)
        existing = {job.form_key: job for job in earlier.select_related("project")}
        if not all(access.may_see(actor, job.project) for job in existing.values()):
            raise ActionError(SENT_BEFORE)
        if len(existing) < len(wanted):
            project = placement.project_of(dataset, project)
            placement.check(actor, dataset, project)
            placement.take_along(actor, dataset, project)
        if not may_exceed:
            limits.check(actor, [each["connection"] for key, each in wanted.items() if key not in existing])
        return [
            existing.get(key)
            or _start(
                price,
                may_exceed=may_exceed,
                actor=actor,
                dataset=dataset,
                project=project,
                form_key=key,
                **each,
            )
            for (key, each), price in zip(wanted.items(), prices, strict=True)
        ]


def is_of_others(person: User, form_key: uuid.UUID) -> bool:
    """Whether a job or a sweep of somebody else has this key, which their pages name."""
    return Job.objects.filter(Q(form_key=form_key) | Q(sweep=form_key)).exclude(owner=person).exists()


def prices_of(dataset: Dataset | None, parameter_sets: list[dict[str, Any]]) -> list[Money | None]:
    """The price of each of these jobs, None where it is not known. Asks the providers: no transaction."""
    return [
        costs.price_of(each["connection"], each.get("trainer", ""), each.get("steps"), dataset)
        for each in parameter_sets
    ]


def _start(
    price: Money | None,
    *,
    may_exceed: bool,
    actor: User,
    dataset: Dataset,
    connection: Connection,
    **fields: Any,
) -> Job:
    """Make the job; the worker sends it."""
    state = _first_state(dataset, connection)
    job = Job.objects.create(owner=actor, dataset=dataset, connection=connection, state=state, **fields)
    note(job, "Started", source=Source.PERSON, actor=actor, state=state)
    costs.reserve(job, price, may_exceed=may_exceed)
    record(actor, "job.start", job, name=job.name, steps=job.steps)
    return job


def approve(job: Job, *, actor: User) -> None:
    """Start a job that waits for an approval. Raises ActionError."""
    with transaction.atomic():
        cost = _decide_cost(job, is_approved=True, comment="", actor=actor)
        state = _first_state(job.dataset, job.connection)
        if not move(job, state, "Approved", source=Source.PERSON, actor=actor, due_at=now()):
            raise ActionError(DECIDED)
        record(actor, "job.approve", job, name=job.name, amount=_amount(cost))


def decline(job: Job, *, reason: str, actor: User) -> None:
    """Close a job that waits for an approval; its owner reads the reason. Raises ActionError."""
    with transaction.atomic():
        cost = _decide_cost(job, is_approved=False, comment=reason, actor=actor)
        text = f"{costs.DECLINED}{actor.name}: {reason}" if reason else f"{costs.DECLINED}{actor.name}."
        if not move(job, State.CLOSED, text, source=Source.PERSON, actor=actor, error=text):
            raise ActionError(DECIDED)
        record(actor, "job.decline", job, name=job.name, amount=_amount(cost), reason=reason)


def _decide_cost(job: Job, *, is_approved: bool, comment: str, actor: User) -> Cost:
    cost = costs.of(job).filter(state=Cost.State.APPROVAL).first()
    if cost is None or job.state != State.APPROVAL:
        raise ActionError(DECIDED)
    ledger.decide(cost, is_approved=is_approved, comment=comment, actor=actor)
    return cost


def _amount(cost: Cost) -> str:
    return "not known" if cost.estimate is None else f"{cost.estimate:f} {cost.currency}"


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
    if connection.provider != job.connection.provider:
        raise ActionError("This connection trains something else. Use “Train again with changes” instead.")
    if sentence := inputs.refusal(job.dataset, connection, job.trainer):
        raise ActionError(sentence)
    try:
        parameters.read(connection, job.parameters, job.trainer)
    except ParameterError as exc:
        raise ActionError(str(exc)) from None
    price = costs.price_of(connection, job.trainer, job.steps, job.dataset)
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
        ledger.release(costs.of(job))
        costs.reserve(job, price)
        record(actor, "job.connection", job, before=before, after=str(connection))


def set_public(job: Job, *, public: bool, actor: User) -> None:
    """Make a model public or private, at the provider first (docs/provider-api.md, 5)."""
    if not job.request_id:
        raise ActionError("There is no model yet to make public or private.")
    if not job.is_at_segmind:
        raise ActionError(f"“{job.connection}” has no public models.")
    if public and not limits.may_publish(actor):
        raise ActionError(limits.ONLY_ADMINS_PUBLISH)
    try:
        with adapter_for_user_action(job.connection) as adapter:
            adapter.set_public(requests.handle_of(job), public=public)
    except CallError as exc:
        raise ProviderError(f"Visibility was not changed. {exc.message}", exc.detail) from None
    with transaction.atomic():
        if not Job.objects.filter(pk=job.pk).update(is_public=public, updated_at=now()):
            raise ActionError(JOB_GONE)
        text = "Made public" if public else "Made private"
        note(job, text, source=Source.PERSON, actor=actor)
        record(actor, "job.public" if public else "job.private", job, name=job.name)
    job.is_public = public


def set_best(job: Job, *, best: bool, actor: User) -> None:
    """Mark a job as the best of its sweep, instead of another one, or no longer. Raises ActionError."""
    if job.sweep is None or (best and not job.can_be_best):
        raise ActionError("Only a job of a sweep that made a model can be the best of it.")
    with transaction.atomic():
        rows = Job.objects.filter(sweep=job.sweep)
        marked = {each.pk: each for each in rows.select_for_update(no_key=True).order_by("pk")}
        if job.pk not in marked or marked[job.pk].is_best == best:
            return
        for other in marked.values():
            if other.is_best and other != job:
                note(other, NOT_BEST, source=Source.PERSON, actor=actor)
        rows.filter(is_best=True).update(is_best=False, updated_at=now())
        if best:
            rows.filter(pk=job.pk).update(is_best=True, updated_at=now())
        note(job, "Marked as the best of its sweep" if best else NOT_BEST, source=Source.PERSON, actor=actor)
        record(actor, "job.best" if best else "job.not-best", job, name=job.name)
    job.is_best = best


def note_pictures(job: Job) -> None:
    """Have the pages that show the job read again which pictures its model made."""
    Job.objects.filter(pk=job.pk).update(updated_at=now())


def mark_file_gone(job: Job) -> None:
    """Note once that the provider deleted the model file."""
    with transaction.atomic():
        if Job.objects.filter(pk=job.pk, file_gone_at=None).update(file_gone_at=now(), updated_at=now()):
            note(job, FILE_GONE, source=Source.PORTAL)


def decide(job: Job, *, resend: bool, actor: User) -> None:
    """Settle a job whose answer was lost: send it again, at the risk of paying twice, or close it."""
    if job.state != State.NEEDS_DECISION:
        raise ActionError("There is nothing left to decide: the job has moved on.")
    if resend and (sentence := inputs.refusal(job.dataset, job.connection, job.trainer)):
        raise ActionError(f"Not sent again. {sentence}")
    price = costs.price_of(job.connection, job.trainer, job.steps, job.dataset) if resend else None
    with transaction.atomic():
        if resend:
            text = f"Sent again by decision{costs.risk(job.connection)}"
            moved = move(job, State.QUEUED, text, source=Source.PERSON, actor=actor, due_at=now(), error="")
        else:
            moved = move(job, State.CLOSED, "Closed by decision", source=Source.PERSON, actor=actor)
        if moved and resend:
            costs.reserve(job, price, is_approved=True)
        if moved:
            record(actor, "job.resend" if resend else "job.close", job, name=job.name)


def describe(job: Job, *, name: str, note_text: str, tags: str, actor: User) -> None:
    """Change the name, note and tags in the portal; the provider does not get them."""
    fields = {"name": name, "note": note_text, "tags": tags}
    with transaction.atomic():
        if not Job.objects.filter(pk=job.pk).update(updated_at=now(), **fields):
            raise ActionError(JOB_GONE)
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
