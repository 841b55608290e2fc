"""What the live table shows: the rows of one page, the counts of the filters, and a stamp of it all.

Everything is in the query string, and nothing takes longer with 100,000 jobs than with 1,000: pages go by
key, and a count stops at LARGEST_COUNT.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import access, choices
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.table import filters
from finetune_portal.jobs.table.rows import outlines
from finetune_portal.web.paging import NEWEST_FIRST, Order, page_of

Rule = Callable[[str, User], Q | None]
FILTERS = {key: (label, Q(group=key)) for key, (label, _) in choices.GROUPS.items()}
ORDERS = {
    "": ("Newest first", NEWEST_FIRST),
    "oldest": ("Oldest first", Order(descending=False)),
    "name": ("By name", Order("name", descending=False)),
    "changed": ("Latest change first", Order("updated_at")),
}
NARROWING = ("state", "mine", "by", "dataset", "public", "sweep", "tag", "archived", "q")
SEARCHED = ("q", "tag")  # each row has to be read, so nothing is counted
LARGEST_COUNT = 1000


def context(user: User, params: Mapping[str, str]) -> dict[str, Any]:
    """`params` is the query string: NARROWING, `sort`, `before`, `after`."""
    seen = stamp()  # before the rows, so that a change in between is told at the next look
    sort = params.get("sort", "") if params.get("sort") in ORDERS else ""
    page = page_of(
        outlines(filtered(user, params)),
        before=params.get("before", ""),
        after=params.get("after", ""),
        order=ORDERS[sort][1],
    )
    kept = {name: value for name in NARROWING if (value := params.get(name, ""))}
    orders = {key: label for key, (label, _) in ORDERS.items()}
    return {
        "page": page,
        "filters": counted(user, params),
        "is_counted_live": not _beside_state(params),
        "is_filtered": bool(kept),
        "stamp": seen,
        "order": orders[sort],
        "params": params,
        **filters.context(user, {**kept, "sort": sort} if sort else kept, orders),
    }


def stamp() -> str:
    """Changes whenever a row that could be shown, or the upstream's mood, changed."""
    return "-".join(re.sub(r"\D", "", str(moment)) for moment in _row(_LATEST) if moment) or "none"


def filtered(user: User, params: Mapping[str, str]) -> QuerySet[Job]:
    """Words that make no sense narrow nothing."""
    rows = access.visible(user).filter(archived_at__isnull=params.get("archived") != "on")
    for name, rule in _RULES.items():
        if (value := params.get(name, "").strip()) and (narrowed := rule(value, user)) is not None:
            rows = rows.filter(narrowed)
    return rows


def _by_number(column: str) -> Rule:
    return lambda value, _: Q(**{column: int(value)}) if value.isdecimal() and len(value) < 19 else None


def of_sweep(value: str, _: User | None = None) -> Q | None:
    try:
        return Q(sweep=uuid.UUID(value))
    except ValueError:
        return None


def _with_words(value: str, _: User) -> Q:
    return Q(name__icontains=value) | Q(instance_prompt__icontains=value) | Q(tags__icontains=value)


_RULES: dict[str, Rule] = {
    "state": lambda value, _: FILTERS[value][1] if value in FILTERS else None,
    "mine": lambda value, user: Q(owner=user) if value == "on" else None,
    "by": _by_number("owner"),
    "dataset": _by_number("dataset"),
    "public": lambda value, _: Q(is_public=value == "on") if value in ("on", "off") else None,
    "sweep": of_sweep,
    "tag": lambda value, _: Q(tags__icontains=value),
    "q": _with_words,
}


def counted(user: User, params: Mapping[str, str]) -> list[dict[str, Any]]:
    """The tabs: each group of states, with the number of jobs that its link leads to."""
    counts = counts_of() if not _beside_state(params) else _narrow_counts(user, params)
    chosen = params.get("state", "")
    labels = {"": "All", **{key: label for key, (label, _) in FILTERS.items()}}
    return [
        {"key": key, "label": label, "count": counts.get(key or "all", ""), "chosen": key == chosen}
        for key, label in labels.items()
    ]


def counts_of() -> dict[str, str]:
    """The number of jobs in each group of the whole table, as text: 12, or 1,000+."""
    return _as_texts(dict(zip(FILTERS, _row(_COUNTS, *FILTERS), strict=True)))


def _narrow_counts(user: User, params: Mapping[str, str]) -> dict[str, str]:
    if any(params.get(name) for name in SEARCHED):
        return {}
    rows = filtered(user, {**dict(params.items()), "state": ""}).select_related(None)
    return _as_texts(
        {key: rows.filter(rule)[: LARGEST_COUNT + 1].count() for key, (_, rule) in FILTERS.items()}
    )


def _beside_state(params: Mapping[str, str]) -> bool:
    return any(params.get(name) for name in NARROWING if name != "state")


def _as_texts(found: dict[str, int]) -> dict[str, str]:
    return {key: _as_text(number) for key, number in {"all": sum(found.values()), **found}.items()}


def _as_text(number: int) -> str:
    return f"{LARGEST_COUNT:,}+" if number > LARGEST_COUNT else f"{number:,}"


# One query each: through the ORM it would be one for each number, and asking takes longer than counting.
# What stands in them are our own names of tables and a number.
_SHOWN = ((Job, "updated_at"), (Dataset, "updated_at"), (Training, "updated_at"), (Connection, "updated_at"))
_LATEST = [f"SELECT MAX({column}) FROM {model._meta.db_table}" for model, column in _SHOWN]  # nosec B608
_GROUP = 'SELECT 1 FROM jobs_job WHERE archived_at IS NULL AND "group" = %s'
_COUNT = f"SELECT COUNT(*) FROM ({_GROUP} LIMIT {LARGEST_COUNT + 1}) AS some_of_them"  # nosec B608
_COUNTS = [_COUNT] * len(FILTERS)


def _row(scalars: list[str], *values: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'({scalar})' for scalar in scalars)}", values)
        return tuple(cursor.fetchone())
