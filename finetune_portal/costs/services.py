"""Write down what acts cost: reserved when they are queued, released, accepted, billed.

Whoever calls them changes the job or the generation in the same transaction.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F, Max, QuerySet, Value
from django.db.models.functions import Coalesce
from django.dispatch import Signal
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections.models import Connection
from finetune_portal.costs import budgets
from finetune_portal.costs.amounts import AmountField, exact
from finetune_portal.costs.budgets import Action, BudgetExceededError
from finetune_portal.costs.models import Approval, Budget, Cost, currency_of
from finetune_portal.projects import services as projects
from finetune_portal.projects.models import Project
from finetune_portal.providers.contract import Money, Price
from finetune_portal.web import request_context
from finetune_portal.web.errors import ActionError

State = Cost.State
Costs = QuerySet[Cost]
BUDGET_GONE = "The budget was removed meanwhile, so nothing was changed."
LATEST = 20  # bills that a price is read from
decided = Signal()  # of a `cost`, by an `actor`, in the transaction that decides it


def of(kind: str, subject: int) -> Costs:
    """The costs of a job or a generation, the latest act first."""
    return Cost.objects.filter(kind=kind, subject=subject).order_by("-number")


def reserve(
    *,
    kind: str,
    subject: int,
    job: int,
    title: str,
    person: User,
    connection: Connection,
    project: Project | None = None,
    price: Money | None = None,
    is_approved: bool = False,
    may_exceed: bool = False,
) -> Cost:
    """Make the row of a further act of this subject, which is queued now, within the budgets.

    Where a budget asks, it waits for an approval. Raises BudgetExceededError where one stops, unless an admin
    may exceed it. `is_approved`: an admin has decided that it may cost what it costs.
    """
    verdict = budgets.FITS if is_approved else budgets.judge(person, connection, price, project=project)
    if verdict.action == Action.STOP and not may_exceed:
        raise BudgetExceededError(verdict.reason)
    last = of(kind, subject).aggregate(number=Coalesce(Max("number"), 0))["number"]
    cost = Cost.objects.create(
        state=State.APPROVAL if verdict.action == Action.ASK else State.RESERVED,
        kind=kind,
        subject=subject,
        number=last + 1,
        job=job,
        title=title[:80],
        token=request_context.current().token[:80],
        person=person,
        connection=connection,
        project=project,
        **_estimate(connection, price),
    )
    if verdict.action == Action.ASK:
        Approval.objects.create(cost=cost, reason=verdict.reason[:500])
    return cost


def _estimate(connection: Connection, price: Money | None) -> dict[str, Any]:
    if price is None:
        return {"currency": currency_of(connection)}
    is_billed = price.price is Price.BILLED  # by earlier acts
    return {
        "currency": price.currency,
        "estimate": exact(price.amount),
        "estimate_source": Cost.Source.PAST if is_billed else Cost.Source.PRICE,
        "estimated_at": now(),
    }


def forget_titles(jobs: list[int]) -> None:
    """Forget the names of deleted jobs. What was paid for them and their models stays."""
    Cost.objects.filter(job__in=jobs).update(title="")


def forget_project(project: Project) -> None:
    """Forget which costs were of a project that is deleted, and what its budgets said."""
    Approval.objects.filter(cost__project=project).update(reason="", comment="")
    project.costs.update(project=None)


def estimate_anew(cost: Cost, price: Money) -> bool:
    """Store the price by which an act is sent. False where it rose so that a budget is exceeded by it.

    Then the act waits for an approval, as nothing that is queued is lost, unless it was approved before.
    """
    amount = exact(price.amount)
    has_risen = cost.estimate is None or amount > cost.estimate or price.currency != cost.currency
    verdict = budgets.FITS
    if has_risen and not Approval.objects.filter(cost=cost, is_approved=True).exists():
        verdict = budgets.judge(cost.person, cost.connection, price, project=cost.project, without=cost.pk)
    must_wait = verdict.action in (Action.ASK, Action.STOP)
    rows = Cost.objects.filter(pk=cost.pk, state=State.RESERVED)
    state = {"state": State.APPROVAL} if must_wait else {}
    rows.update(**_estimate(cost.connection, price), **state)
    if must_wait:
        Approval.objects.update_or_create(cost=cost, defaults={"reason": verdict.reason[:500]})
    return not must_wait


def decide(cost: Cost, *, is_approved: bool, comment: str, actor: User) -> None:
    """Approve or decline what waits. Raises ActionError where that was done before."""
    waiting = Cost.objects.filter(pk=cost.pk, state=State.APPROVAL)
    fields = {"state": State.RESERVED, "at": now()} if is_approved else {"state": State.RELEASED}
    if not waiting.update(**fields):
        raise ActionError("There is nothing left to decide: somebody was faster, or it was withdrawn.")
    decision = {"is_approved": is_approved, "comment": comment, "decided_by": actor, "decided_at": now()}
    Approval.objects.filter(cost=cost).update(**decision)
    decided.send(Cost, cost=cost, is_approved=is_approved, actor=actor)


def release(costs: Costs) -> None:
    """The acts are certain not to be charged."""
    costs.filter(state__in=(State.APPROVAL, State.RESERVED, State.UNCONFIRMED)).update(state=State.RELEASED)


def doubt(costs: Costs) -> None:
    """Nobody knows whether the acts are charged: they count as if they were."""
    costs.filter(state__in=(State.APPROVAL, State.RESERVED)).update(state=State.UNCONFIRMED)


def accept(costs: Costs) -> None:
    """The provider took the acts: a bill may come."""
    costs.exclude(state=State.BILLED).update(state=State.UNBILLED)


def bill(costs: Costs, amount: Decimal | float, currency: str, source: Cost.Source) -> None:
    """Store what the provider billed. A later bill of the same act replaces it."""
    fields = {"bill": exact(amount), "bill_source": source, "billed_at": now()}
    costs.update(**fields, currency=currency, state=State.BILLED)


def bill_more(costs: Costs, amount: Decimal | float, source: Cost.Source) -> None:
    """Add to the bill of an act, for each time that it was charged."""
    nothing, more = (Value(each, output_field=AmountField()) for each in (Decimal(0), exact(amount)))
    added = Coalesce(F("bill"), nothing) + more
    costs.update(bill=added, bill_source=source, billed_at=now(), state=State.BILLED)


def past_price(kind: str, connection: Connection) -> Money | None:
    """The highest of the latest bills of such acts at this connection, where nobody names a price."""
    sources = (Cost.Source.ANSWER, Cost.Source.BILL)
    billed = Cost.objects.filter(kind=kind, connection=connection, bill_source__in=sources)
    latest = list(billed.order_by("-pk").values_list("bill", "currency")[:LATEST])
    currency = latest[0][1] if latest else ""
    bills = [amount for amount, each in latest if each == currency and amount is not None]
    return Money(max(bills), currency, Price.BILLED) if bills else None


def set_budget(budget: Budget, *, actor: User) -> None:
    """Store a new or a changed budget. Raises ActionError where it, or its project, was deleted meanwhile."""
    with transaction.atomic():
        old = _locked(budget) if budget.pk else None
        if budget.project:
            projects.lock(budget.project)
        budget.save()
        before = f"{old.amount:f} {old.currency} {old.action}" if old else "none"
        after = f"{budget.amount:f} {budget.currency} {budget.action}"
        record(actor, "budget.set", budget, of=budget.title, before=before, after=after)


def remove_budget(budget: Budget, *, actor: User) -> None:
    """Raises ActionError where somebody else was faster."""
    with transaction.atomic():
        old = _locked(budget)
        before = f"{old.amount:f} {old.currency} {old.action}"
        record(actor, "budget.remove", budget, of=budget.title, before=before, after="none")
        budget.delete()


def _locked(budget: Budget) -> Budget:
    locked = Budget.objects.select_for_update().filter(pk=budget.pk).first()
    if locked is None:
        raise ActionError(BUDGET_GONE)
    return locked
