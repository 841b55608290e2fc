"""What a job costs: as the provider bills it, or what the balance fell by while it was paid for alone."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.timezone import now

from finetune_portal.connections import admin_key, declared, rate_limit
from finetune_portal.connections.client import adapter_for
from finetune_portal.connections.models import Connection
from finetune_portal.costs import services as ledger
from finetune_portal.costs.models import CREDITS, USD, Cost
from finetune_portal.jobs import costs
from finetune_portal.jobs.choices import DOUBTFUL, State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.sync import requests
from finetune_portal.providers.contract import Adapter, Capability, Handle, Money, Price
from finetune_portal.providers.errors import AdminKeyRejectedError, CallError, RequestRejectedError

NOTHING = Money(Decimal(0), USD, Price.BILLED)


def before(connection: Connection) -> dict[str, Any]:
    """The balance before a job, as fields of the job; none where jobs are free or billed one by one."""
    if connection.is_free or not declared.shows_balance(connection):
        return {}
    return {"credits_before": connection.credits, "credits_before_at": connection.credits_at}


def note_estimate(job: Job) -> bool:
    """Store the price by which a job is sent, where its provider names one.

    False where it rose over a budget since the job was queued: then the job waits for an approval.
    """
    if price := costs.price_of(job.connection, job.trainer, job.steps, job.dataset):
        fields = {"estimated_cost": float(price.amount), "currency": price.currency}
        with transaction.atomic():
            Job.objects.filter(pk=job.pk).update(**fields)
            cost = costs.for_attempt(job)
            if cost is not None and not ledger.estimate_anew(cost, price):
                costs.wait_for_approval(job, Cost.objects.get(pk=cost.pk))
                return False
    return True


def record_bill(job: Job, adapter: Adapter, *, is_last: bool = False) -> bool:
    """Store what the job was billed. False while there is no bill, or the admin key is refused.

    `is_last`: nobody asks again, so a failed job without a bill was not charged.
    """
    if Connection.objects.get(pk=job.connection_id).is_admin_key_refused:
        return False  # `try_admin_key` asks for all jobs
    try:
        bill = _ask_for_bill(job.connection, adapter, requests.handle_of(job))
    except AdminKeyRejectedError:
        Job.objects.filter(pk=job.pk).update(updated_at=now())  # its page says why there is no bill
        return False
    except RequestRejectedError:
        return False
    if bill is None and is_last and job.state == State.FAILED:
        bill = NOTHING
    if bill is None:
        return False
    fields = {"cost": float(bill.amount), "currency": bill.currency}
    with transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**fields, updated_at=now())
        ledger.bill(costs.billed_row(job), bill.amount, bill.currency, Cost.Source.BILL)
    return True


def bill_by_id(connection: Connection, trainer: str, id: str, *, nothing_without: bool) -> Money | None:
    """What a run or a job was billed, by its id at the provider; None while there is no bill or no answer.

    `nothing_without`: an answer without a bill means that it was not charged.
    """
    try:
        with adapter_for(connection) as adapter:
            if Capability.COST not in adapter.capabilities:
                return None
            bill = _ask_for_bill(connection, adapter, adapter.handle(trainer, id))
    except CallError:
        return None
    return NOTHING if bill is None and nothing_without else bill


def _ask_for_bill(connection: Connection, adapter: Adapter, handle: Handle) -> Money | None:
    """What an act was billed; None while there is no bill. Raises CallError; a refused admin key is noted."""
    try:
        bill = adapter.cost(handle)
    except AdminKeyRejectedError as exc:
        admin_key.note_refused(connection, exc)
        raise
    admin_key.note_accepted(connection)
    return bill


def try_admin_key(connection: Connection) -> None:
    """Try a refused or new admin key, when that is due. If it works, bills are asked for at once."""
    if not (connection.has_admin_key and admin_key.take_try(connection)):
        return
    if not rate_limit.take_call(connection, reserve=rate_limit.EXTENSION):
        return
    try:
        with adapter_for(connection) as adapter:
            if Capability.BALANCE not in adapter.capabilities:
                return
            adapter.balance()
    except AdminKeyRejectedError as exc:
        admin_key.note_refused(connection, exc)
    except CallError:
        return  # it says nothing of the key
    else:
        admin_key.note_accepted(connection)
        Training.objects.filter(job__connection=connection, is_over=False).update(due_at=now())


def awaiting_balance(connection: Connection) -> QuerySet[Job]:
    """The jobs that ended and still need the balance after them."""
    return connection.jobs.filter(
        credits_before__isnull=False, credits_after=None, ended_at__isnull=False
    ).select_related(None)


def record_balance(connection: Connection, credits: float, *, asked_at: datetime) -> None:
    """Store the balance after each job that ended before `asked_at`, and the cost of each that was alone."""
    connection.refresh_from_db(fields=["other_payment_at"])
    ended = awaiting_balance(connection).filter(ended_at__lte=asked_at)
    amounts = [(job, _cost(job, credits, asked_at)) for job in ended.select_related("owner", "connection")]
    for job, amount in amounts:
        with transaction.atomic():
            Job.objects.filter(pk=job.pk).update(credits_after=credits, cost=amount, updated_at=now())
            if amount is not None and job.owner_id is not None:
                ledger.bill(costs.billed_row(job), amount, CREDITS, Cost.Source.BALANCE)


def _cost(job: Job, credits: float, asked_at: datetime) -> float | None:
    difference = round((job.credits_before or 0) - credits, 6)
    is_alone = job.credits_before_at and not _others(job, job.credits_before_at, asked_at)
    return difference if is_alone and difference > 0 else None


def _others(job: Job, since: datetime, until: datetime) -> bool:
    """Whether anything else of the account may have been charged between two readings of the balance."""
    payment_at = job.connection.other_payment_at
    if payment_at and payment_at >= since:
        return True
    others = Job.objects.filter(connection=job.connection_id).exclude(pk=job.pk)
    begun = Q(sent_at__lte=until) | Q(sent_at=None, state__in=DOUBTFUL) | Q(owner=None, created_at__lte=until)
    return others.filter(begun, Q(ended_at=None) | Q(ended_at__gte=since)).exists()
