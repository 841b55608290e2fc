"""Ask for the bills of runs and deleted jobs, which some providers have a while later, under their ids."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections.models import Connection
from finetune_portal.costs import services as ledger
from finetune_portal.costs.models import Cost
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync.cost import bill_by_id
from finetune_portal.playground.models import AwaitedBill, Generation
from finetune_portal.providers.contract import Adapter, Capability, Handle, Money
from finetune_portal.queue.leases import held_by

LEASE = 180.0
INTERVAL, BILLED_WITHIN = timedelta(minutes=1), timedelta(days=1)


def wait_for(generation: Generation, adapter: Adapter, handle: Handle) -> None:
    """Have the run that its provider just accepted billed later, whatever becomes of it and of the worker.

    The bill is that of the run that the worker has, also where it is deleted or run again by now.
    """
    cost = generation.latest_cost_id
    if cost is None or Capability.COST not in adapter.capabilities:
        return
    with transaction.atomic():
        kept = Generation.objects.select_for_update().filter(pk=generation.pk).first()
        fields = {
            "generation": kept,
            "trainer": generation.job.trainer,
            "run": handle.id,
            "due_at": now() + INTERVAL,
        }
        AwaitedBill.objects.update_or_create(cost_id=cost, defaults=fields)


def wait_for_deleted(jobs: Iterable[Job]) -> None:
    """Have jobs that are deleted now billed as if they were not: a bill needs the id at the provider only."""
    followed = Job.objects.filter(pk__in=[job.pk for job in jobs], training__is_over=False)
    by_key = {job.pk: job for job in followed.exclude(request_id=None)}
    unbilled = Cost.objects.filter(kind=Cost.Kind.JOB, subject__in=by_key, state=Cost.State.UNBILLED)
    AwaitedBill.objects.bulk_create(_awaited(cost, by_key[cost.subject]) for cost in unbilled)


def _awaited(cost: Cost, job: Job) -> AwaitedBill:
    return AwaitedBill(
        cost=cost,
        trainer=job.trainer,
        run=job.request_id or "",
        created_at=job.ended_at or now(),
        has_failed=job.state == State.FAILED,
    )


def ask_next() -> bool:
    """Ask for the bill that was asked for longest ago. False when none is due.

    While an admin key is refused none of its account is asked for: the poll tries the key again.
    """
    awaited = rate_limit.claim_with_call(
        AwaitedBill.objects.select_related("cost__connection"),
        [each for each in Connection.objects.in_use() if not each.is_admin_key_refused],
        reserve=rate_limit.CREDITS,
        seconds=LEASE,
        connection_field="cost__connection",
    )
    if awaited is None:
        return False
    is_last = awaited.created_at < now() - BILLED_WITHIN
    nothing_without = is_last and awaited.has_failed
    connection = awaited.cost.connection
    if bill := bill_by_id(connection, awaited.trainer, awaited.run, nothing_without=nothing_without):
        _store(awaited, bill)
    elif is_last:
        held_by(awaited).delete()
    else:
        held_by(awaited).update(due_at=now() + INTERVAL, lease_expires_at=None)
    return True


def _store(awaited: AwaitedBill, bill: Money) -> None:
    more = {"cost": Coalesce(F("cost"), 0.0) + float(bill.amount), "currency": bill.currency}
    with transaction.atomic():
        if not held_by(awaited).delete()[0]:
            return  # another worker was faster
        Generation.objects.filter(pk=awaited.generation_id or 0).update(**more)
        ledger.bill(Cost.objects.filter(pk=awaited.cost_id), bill.amount, bill.currency, Cost.Source.BILL)
