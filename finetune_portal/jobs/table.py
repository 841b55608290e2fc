"""What the live table shows: the rows of one page, the counts of the filters, and a stamp of it all.

Everything is in the query string, and nothing takes longer with 100,000 jobs than with 1,000: pages go by
key, and a count stops at LARGEST_COUNT.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Max, Q, QuerySet

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import access, choices
from finetune_portal.jobs.models import Connection, Job, SavedView
from finetune_portal.web.paging import NEWEST_FIRST, Order, page_of

Rule = Callable[[str, User], Q | None]
FILTERS = {key: (label, Q(group=key)) for key, (label, _) in choices.GROUPS.items()}
ORDERS = {
    "": ("Newest first", NEWEST_FIRST),
    "oldest": ("Oldest first", Order(descending=False)),
    "name": ("By name", Order("name", descending=False)),
    "changed": ("Latest change first", Order("changed")),
}
NARROWING = ("state", "mine", "by", "dataset", "public", "sweep", "tag", "archived", "q")
LARGEST_COUNT = 1000


def context(user: User, params: Mapping[str, str]) -> dict[str, Any]:
    """`params` is the query string: NARROWING, `sort`, `before`, `after`."""
    seen = stamp(user, params)  # before the rows, so that a change in between is told at the next look
    sort = params.get("sort", "") if params.get("sort") in ORDERS else ""
    page = page_of(
        filtered(user, params),
        before=params.get("before", ""),
        after=params.get("after", ""),
        order=ORDERS[sort][1],
    )
    for job in page.rows:
        job.may_change = access.may_change(user, job)  # type: ignore[attr-defined]
    return {
        "page": page,
        "filters": counted(user, params),
        "query": params.get("q", ""),
        "mine": params.get("mine") == "on",
        "is_filtered": any(params.get(name) for name in NARROWING),
        "narrowed": sum(
            bool(params.get(name)) for name in ("by", "dataset", "public", "tag", "archived", "sort")
        ),
        "stamp": seen,
        "connection": Connection.objects.first(),
        "orders": [(key, label, key == sort) for key, (label, _) in ORDERS.items()],
        "people": User.objects.filter(is_active=True).order_by("name"),
        "views": SavedView.objects.filter(owner=user),
        "params": params,
    }


def stamp(user: User, params: Mapping[str, str]) -> str:
    """Changes whenever a row that could be shown, or the upstream's mood, changed."""
    jobs = access.visible(user).aggregate(last=Max("changed"))["last"]
    datasets = Dataset.objects.aggregate(last=Max("changed"))["last"]
    mood = Connection.objects.aggregate(last=Max("changed"))["last"]
    return "-".join(f"{moment.timestamp():.6f}" for moment in (jobs, datasets, mood) if moment) or "none"


def filtered(user: User, params: Mapping[str, str]) -> QuerySet[Job]:
    """Words that make no sense narrow nothing."""
    rows = access.visible(user).defer("dataset__verdict", "told")
    rows = rows.filter(archived__isnull=params.get("archived") != "on")
    for name, rule in _RULES.items():
        if (value := params.get(name, "").strip()) and (narrowed := rule(value, user)) is not None:
            rows = rows.filter(narrowed)
    return rows


def _by_number(column: str) -> Rule:
    return lambda value, _: Q(**{column: int(value)}) if value.isdecimal() and len(value) < 19 else None


def _of_sweep(value: str, _: User) -> Q | None:
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
    "sweep": _of_sweep,
    "tag": lambda value, _: Q(tags__icontains=value),
    "q": _with_words,
}


def counted(user: User, params: Mapping[str, str]) -> list[dict[str, Any]]:
    """The tabs: each group of states with the number of its jobs, which stops at LARGEST_COUNT."""
    counts = counts_of(user)
    chosen = params.get("state", "")
    labels = {"": "All", **{key: label for key, (label, _) in FILTERS.items()}}
    return [
        {"key": key, "label": label, "count": counts[key or "all"], "chosen": key == chosen}
        for key, label in labels.items()
    ]


def counts_of(user: User | None = None) -> dict[str, str]:
    """As text: 12, or 1,000+."""
    rows = Job.objects.filter(archived=None) if user is None else access.visible(user).filter(archived=None)
    found = {"all": rows, **{key: rows.filter(rule) for key, (_, rule) in FILTERS.items()}}
    return {key: _up_to(group) for key, group in found.items()}


def _up_to(rows: QuerySet[Job]) -> str:
    number = rows.order_by()[: LARGEST_COUNT + 1].count()
    return f"{LARGEST_COUNT:,}+" if number > LARGEST_COUNT else f"{number:,}"
