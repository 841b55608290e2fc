"""Keyset paging: as quick on the last page as on the first, and no COUNT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)
PAGE = 50


@dataclass(frozen=True)
class Page(Generic[M]):
    """One page of rows, newest first; `older` and `newer` are keys for the URL, or empty."""

    rows: list[M]
    older: str
    newer: str


def page_of(queryset: QuerySet[M], *, before: str = "", after: str = "", size: int = PAGE) -> Page[M]:
    """`before` and `after` are primary keys as the URL tells them; anything else is the first page."""
    if after.isdecimal():
        rows = list(queryset.filter(pk__gt=int(after)).order_by("pk")[: size + 1])
        more_newer = len(rows) > size
        rows = rows[:size][::-1]
        return Page(rows, str(rows[-1].pk) if rows else "", str(rows[0].pk) if more_newer else "")
    paged = before.isdecimal()
    if paged:
        queryset = queryset.filter(pk__lt=int(before))
    rows = list(queryset.order_by("-pk")[: size + 1])
    more_older = len(rows) > size
    rows = rows[:size]
    return Page(
        rows,
        str(rows[-1].pk) if more_older else "",
        str(rows[0].pk) if paged and rows else "",
    )
