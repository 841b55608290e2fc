"""What budgets say of an act that is about to be queued, and how full they are.

Call `judge` in the transaction that queues the act: it locks the budgets, so that what several people queue
at once never exceeds one.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.dispatch import Signal

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.costs.amounts import Total, amount_text
from finetune_portal.costs.models import Budget, Cost, currency_of
from finetune_portal.costs.months import Month
from finetune_portal.projects.models import Project
from finetune_portal.providers.contract import Money
from finetune_portal.web.errors import ActionError

Action = Budget.Action
NO_PRICE = "No price is known for this, so nobody can say whether it fits {budget}."
TOO_MUCH = "It costs about {price}, and {budget} has {left} left."
STRICTER = (Action.WARN, Action.ASK, Action.STOP)
warned = Signal()  # of a `budget` that is exceeded, in the transaction that queues the act


class BudgetExceededError(ActionError):
    """A budget that stops would be exceeded. An admin may exceed it after a confirmation."""


@dataclass(frozen=True)
class Verdict:
    """What is to be done, and why; no action where everything fits."""

    action: str = ""
    reason: str = ""


FITS = Verdict()


def of(person: User, connection: Connection, project: Project | None = None) -> QuerySet[Budget]:
    """The budgets that count what this person pays at this connection, for this project or none."""
    theirs = Q(person=None) | Q(person=person.pk)
    here = Q(connection=connection.pk) | Q(connection=None, currency=currency_of(connection))
    for_it = Q(project=None) | Q(project=project.pk if project else 0)
    return Budget.objects.filter(theirs & here & for_it).order_by("pk")


def spent(budget: Budget, *, without: int = 0) -> Decimal:
    """What it counts this month. `without`: the key of a cost that is left out."""
    month = Month.current().condition
    rows = Cost.objects.filter(budget.covered, month).exclude(pk=without)
    amount: Decimal | None = rows.aggregate(sum=Total(Coalesce(F("bill"), F("estimate"))))["sum"]
    return amount or Decimal(0)


def judge(
    person: User,
    connection: Connection,
    price: Money | None,
    *,
    project: Project | None = None,
    without: int = 0,
) -> Verdict:
    """Lock the budgets, and say what the strictest that would be exceeded does."""
    verdicts = [FITS]
    for budget in of(person, connection, project).select_for_update():
        verdicts.append(_verdict(budget, price, spent(budget, without=without)))
        if verdicts[-1].action == Action.WARN:
            warned.send(Budget, budget=budget)
    return max(verdicts, key=lambda each: STRICTER.index(Action(each.action)) if each.action else -1)


def lock(person: User, acts: list[tuple[Connection, Project | None]]) -> None:
    """Lock all budgets of several acts before the first is judged, in one order: no deadlock."""
    keys = {pk for act in acts for pk in of(person, *act).values_list("pk", flat=True)}
    list(Budget.objects.filter(pk__in=keys).order_by("pk").select_for_update())


def lock_of(project: Project) -> list[int]:
    """Lock all budgets of a project, before the project itself, as `set_budget` does. Return their keys."""
    budgets = Budget.objects.filter(project=project).order_by("pk").select_for_update()
    return list(budgets.values_list("pk", flat=True))


def _verdict(budget: Budget, price: Money | None, before: Decimal) -> Verdict:
    name = f"the budget of “{budget.title}” ({amount_text(budget.amount)} {budget.currency} a month)"
    if price is None or price.currency != budget.currency:
        # Nobody knows whether it fits. An admin says so, also where the budget stops what does not fit.
        return FITS if budget.action == Action.WARN else Verdict(Action.ASK, NO_PRICE.format(budget=name))
    if before + price.amount <= budget.amount:
        return FITS
    left = f"{amount_text(max(Decimal(0), budget.amount - before))} {budget.currency}"
    cost = f"{amount_text(price.amount)} {price.currency}"
    return Verdict(budget.action, TOO_MUCH.format(price=cost, budget=name, left=left))


def warnings(person: User, acts: list[tuple[Connection, Project | None]]) -> list[str]:
    """A sentence for each budget of these acts that warns and is exceeded now."""
    keys = {each.pk: each for act in acts for each in of(person, *act)}
    over = [each for each in keys.values() if each.action == Action.WARN and spent(each) > each.amount]
    return [
        f"The budget of “{each.title}” is exceeded: {amount_text(spent(each))} of "
        f"{amount_text(each.amount)} {each.currency} this month."
        for each in over
    ]


@dataclass(frozen=True)
class Shown:
    """A budget, and what is spent of it this month."""

    budget: Budget
    spent: Decimal

    @property
    def left(self) -> Decimal:
        left: Decimal = self.budget.amount - self.spent
        return max(Decimal(0), left)

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 is full."""
        if not self.budget.amount:
            return 100
        return min(100, int(100 * self.spent / self.budget.amount))

    @property
    def is_exceeded(self) -> bool:
        return bool(self.spent > self.budget.amount)


def shown(person: User, connection: Connection) -> list[Shown]:
    """The budgets that a job of this person at this connection has to fit."""
    if connection.is_free:
        return []
    rows = of(person, connection).select_related("person", "connection", "project")
    return [Shown(each, spent(each)) for each in rows]


def all_shown() -> list[Shown]:
    """All budgets: those of everybody first, then by name."""
    rows = Budget.objects.select_related("person", "connection", "project")
    ordered = sorted(rows, key=lambda each: (bool(each.person_id), each.title.casefold(), each.pk))
    return [Shown(each, spent(each)) for each in ordered]
