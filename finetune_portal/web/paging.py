"""Keyset pagination: the last page is as quick as the first, and nothing is counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

from finetune_portal.web.keys import parse_key

M = TypeVar("M", bound=Model)
PAGE = 50


@dataclass(frozen=True)
class Order:
    """By a column that is never null, then by the primary key. The column needs an index."""

    field: str = "pk"
    descending: bool = True

    @property
    def columns(self) -> list[str]:
        sign = "-" if self.descending else ""
        return [f"{sign}{self.field}"] if self.field == "pk" else [f"{sign}{self.field}", f"{sign}pk"]

    @property
    def reversed(self) -> Order:
        return Order(self.field, not self.descending)

    def key(self, row: Model) -> str:
        """Return the row's position for the URL: its primary key, then the value of the column."""
        return str(row.pk) if self.field == "pk" else f"{row.pk}~{getattr(row, self.field)}"

    def after_key(self, key: str, model: type[Model]) -> Q | None:
        """Return a condition for the rows after the one with this key; None for an invalid key."""
        text, _, column = key.partition("~")
        if (pk := parse_key(text)) is None:
            return None
        sign = "lt" if self.descending else "gt"
        if self.field == "pk":
            return Q(**{f"pk__{sign}": pk})
        try:
            value: Any = model._meta.get_field(self.field).to_python(column)  # type: ignore[union-attr]
        except ValidationError:
            return None
        # The outer bound lets the database use the column's index.
        beyond = Q(**{f"{self.field}__{sign}": value}) | Q(**{f"pk__{sign}": pk})
        return Q(**{f"{self.field}__{sign}e": value}) & beyond


@dataclass(frozen=True)
class Page(Generic[M]):
    """One page of rows. `older` and `newer` are the keys of the next and the previous page, or empty."""

    rows: list[M]
    older: str
    newer: str


NEWEST_FIRST = Order()


def page_of(
    queryset: QuerySet[M],
    *,
    before: str = "",
    after: str = "",
    size: int = PAGE,
    order: Order = NEWEST_FIRST,
) -> Page[M]:
    """Return the page after the key `before`, or the one before `after`; the first for an invalid key."""
    if after and (ahead := order.reversed.after_key(after, queryset.model)) is not None:
        rows = list(queryset.filter(ahead).order_by(*order.reversed.columns)[: size + 1])
        more_newer = len(rows) > size
        rows = rows[:size][::-1]
        return Page(rows, order.key(rows[-1]) if rows else "", order.key(rows[0]) if more_newer else "")
    beyond = order.after_key(before, queryset.model) if before else None
    if beyond is not None:
        queryset = queryset.filter(beyond)
    rows = list(queryset.order_by(*order.columns)[: size + 1])
    more_older = len(rows) > size
    rows = rows[:size]
    return Page(
        rows,
        order.key(rows[-1]) if more_older else "",
        order.key(rows[0]) if beyond is not None and rows else "",
    )
