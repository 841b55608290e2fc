"""What a generation costs: its rows in the ledger of the costs app, one for each time that it is queued."""

from __future__ import annotations

from finetune_portal.accounts.models import User
from finetune_portal.costs import budgets
from finetune_portal.costs import services as ledger
from finetune_portal.costs.models import Cost
from finetune_portal.playground.access import is_paid
from finetune_portal.playground.models import Generation

OVER_BUDGET = "{reason} Nothing was started. An admin can raise the budget in the settings."
NO_PRICE = "{reason} So an admin makes the first run: what it costs is the price of the next ones."


def reserve(generation: Generation, person: User) -> None:
    """Make the row of a run that is queued now, within the budgets, unless its connection is free.

    No run waits for an approval: where a budget asks or stops, BudgetExceededError refuses it. Where no price
    is known, only an admin runs a model under such a budget.
    """
    connection = generation.connection
    if not is_paid(connection):
        return
    price = ledger.past_price(Cost.Kind.GENERATION, connection)
    verdict = budgets.judge(person, connection, price, project=generation.job.project)
    if price is not None and verdict.action in (budgets.Action.ASK, budgets.Action.STOP):
        raise budgets.BudgetExceededError(OVER_BUDGET.format(reason=verdict.reason))
    if verdict.action and price is None and not person.can_administer:
        raise budgets.BudgetExceededError(NO_PRICE.format(reason=verdict.reason))
    cost = ledger.reserve(
        kind=Cost.Kind.GENERATION,
        subject=generation.pk,
        job=generation.job_id,
        title=generation.job.name,
        person=person,
        connection=connection,
        project=generation.job.project,
        price=price,
        is_approved=True,
    )
    Generation.objects.filter(pk=generation.pk).update(latest_cost=cost)


def release(generation: Generation) -> None:
    """Nothing was charged for the run."""
    ledger.release(_current(generation))


def doubt(generation: Generation) -> None:
    """The answer was lost."""
    ledger.doubt(_current(generation))


def accept(generation: Generation) -> None:
    """The provider took the run. Its bill is there already, if there is one."""
    ledger.accept(_current(generation))


def bill(generation: Generation, amount: float) -> None:
    """Add what the provider says that the run cost."""
    ledger.bill_more(_current(generation), amount, Cost.Source.ANSWER)


def _current(generation: Generation) -> ledger.Costs:
    """The row of the run that the worker has, also where the generation is deleted or run again by now."""
    return Cost.objects.filter(pk=generation.latest_cost_id or 0)
