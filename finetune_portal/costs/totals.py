"""Sums of costs, exact: by person, project, connection or month, each currency for itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import TruncMonth

from finetune_portal.costs.amounts import Total
from finetune_portal.costs.models import Cost
from finetune_portal.costs.months import Month

State = Cost.State
CHARGED = ~Q(state__in=(State.RELEASED, State.APPROVAL))
HELD = Q(state__in=(State.RESERVED, State.UNCONFIRMED))
NOTHING, NO_PROJECT = Decimal(0), "No project"
SUMS = {
    "jobs": Count("pk", filter=CHARGED & Q(kind=Cost.Kind.JOB)),
    "generations": Count("pk", filter=CHARGED & Q(kind=Cost.Kind.GENERATION)),
    "billed": Total("bill", filter=CHARGED & Q(bill__isnull=False)),
    "unbilled": Total("estimate", filter=Q(bill=None, state=State.UNBILLED)),
    "held": Total("estimate", filter=Q(bill=None) & HELD),
    "unknown": Count("pk", filter=CHARGED & Q(bill=None, estimate=None)),
}


@dataclass(frozen=True)
class Line:
    """One currency of a person, a connection or a month, or of all costs.

    `unbilled`, `held`: estimates of what has no bill yet, and of what is not sent or has a lost answer.
    `unknown`: how many acts have neither bill nor estimate, so that the total is without them.
    """

    label: str
    currency: str
    jobs: int
    generations: int
    billed: Decimal
    unbilled: Decimal
    held: Decimal
    unknown: int
    key: str = ""

    @property
    def total(self) -> Decimal:
        return self.billed + self.unbilled + self.held


BY: dict[str, dict[str, Any]] = {
    "person": {"group_label": F("person__name"), "group_key": F("person")},
    "connection": {"group_label": F("connection__name"), "group_key": F("connection")},
    "project": {"group_label": F("project__name"), "group_key": F("project")},
    "month": {"group_label": TruncMonth("at", tzinfo=UTC)},
}


def lines(costs: QuerySet[Cost], by: str) -> list[Line]:
    """The sums by person, project, connection or month of what is or may be charged.

    The latest month is first, and names are by the alphabet.
    """
    rows = costs.order_by().values("currency", **BY[by]).annotate(**SUMS)
    summed = [line for row in rows if (line := _line(row, by)).jobs + line.generations]
    if by == "month":
        return sorted(summed, key=lambda line: (line.key, line.currency), reverse=True)
    return sorted(summed, key=lambda line: (line.label.casefold(), line.key, line.currency))


def totals(costs: QuerySet[Cost]) -> list[Line]:
    """The sum of all these costs in each currency."""
    rows = costs.order_by().values("currency").annotate(**SUMS)
    return sorted((_line(row, "") for row in rows), key=lambda line: line.currency)


def _line(row: dict[str, Any], by: str) -> Line:
    label: Any = row.get("group_label", "Total") or NO_PROJECT
    key = str(row.get("group_key") or "")
    if by == "month":
        month = Month.of(label)
        label, key = month.title, str(month)
    return Line(
        label=label,
        key=key,
        currency=row["currency"],
        jobs=row["jobs"],
        generations=row["generations"],
        billed=row["billed"] or NOTHING,
        unbilled=row["unbilled"] or NOTHING,
        held=row["held"] or NOTHING,
        unknown=row["unknown"],
    )
