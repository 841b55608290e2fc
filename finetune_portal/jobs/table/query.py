"""What the table shows: the rows of one page, the count of each tab, and a stamp of all of it.

All parameters are in the query string. No query takes longer with 100,000 jobs than with 1,000: pages go by
key, and a count stops at MAX_COUNT.
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
from finetune_portal.jobs.table import display, filters, sweeps
from finetune_portal.jobs.table.rows import row_keys
from finetune_portal.jobs.table.selection import MAX_SELECTED
from finetune_portal.projects.models import Project
from finetune_portal.web.keys import parse_key
from finetune_portal.web.paging import NEWEST_FIRST, Order, page_of

Rule = Callable[[str, User], Q | None]
STATE_FILTERS = {key: (label, Q(group=key)) for key, (label, _) in choices.GROUPS.items()}
ORDERS = {
    "": ("Newest first", NEWEST_FIRST),
    "oldest": ("Oldest first", Order(descending=False)),
    "name": ("By name", Order("name", descending=False)),
    "changed": ("Latest change first", Order("updated_at")),
}
FILTER_PARAMS = ("state", "mine", "by", "dataset", "project", "public", "sweep", "tag", "archived", "q")
UNCOUNTED = ("q", "tag")  # a count would have to read every row
MAX_COUNT = 1000


def table_context(user: User, params: Mapping[str, str], shown: display.Display) -> dict[str, Any]:
    """`params` is the query string: FILTER_PARAMS, `sort`, `before`, `after`.

    display.py and sweeps.py read more of it. `shown` is what the browser keeps.
    """
    seen = stamp()  # before the rows, so that the next poll sees a change made in between
    sort = params.get("sort", "") if params.get("sort") in ORDERS else ""
    are_grouped, unfolded = sweeps.are_grouped(params), sweeps.unfolded(params)
    rows = filtered(user, params)
    page = page_of(
        row_keys(sweeps.newest_of_each(rows) if are_grouped else rows),
        before=params.get("before", ""),
        after=params.get("after", ""),
        order=ORDERS[sort][1],
    )
    active = {name: value for name in FILTER_PARAMS if (value := params.get(name, ""))}
    orders = {key: label for key, (label, _) in ORDERS.items()}
    return {
        "layout": display.layout_of(params),
        "layouts": display.LAYOUTS,
        "display": shown,
        "densities": display.DENSITIES,
        "columns": display.COLUMNS,
        "page": page,
        "rows": sweeps.with_sweeps(page.rows, row_keys(rows), unfolded) if are_grouped else page.rows,
        "are_grouped": are_grouped,
        "unfolded": ",".join(unfolded),
        "fold_params": _fold_params(params, unfolded),
        "tabs": filter_tabs(user, params),
        "has_live_counts": not _has_other_filters(params),
        "is_filtered": bool(active),
        "stamp": seen,
        "order": orders[sort],
        "params": params,
        "max_selected": MAX_SELECTED,
        **filters.filter_context(user, {**active, "sort": sort} if sort else active, orders, params),
    }


def _fold_params(params: Mapping[str, str], unfolded: list[str]) -> dict[str, str]:
    """What the form that unfolds and folds sweeps sends beside its button: what the page shows now."""
    shown = {name: params.get(name, "") for name in (*FILTER_PARAMS, "layout", "before", "after")}
    return {name: value for name, value in {**shown, "unfolded": ",".join(unfolded)}.items() if value}


def stamp() -> str:
    """Return a text that changes with any row that the table or its banners could show, and with who may."""
    return "-".join(re.sub(r"\D", "", str(moment)) for moment in _fetch_row(_LATEST) if moment) or "none"


def filtered(user: User, params: Mapping[str, str]) -> QuerySet[Job]:
    """Apply the filters of the query string; an invalid value is ignored."""
    rows = access.visible(user).filter(archived_at__isnull=params.get("archived") != "on")
    for name, rule in _RULES.items():
        if (value := params.get(name, "").strip()) and (condition := rule(value, user)) is not None:
            rows = rows.filter(condition)
    return rows


def _by_key(column: str) -> Rule:
    return lambda value, _: Q(**{column: key}) if (key := parse_key(value)) is not None else None


def in_sweep(value: str, _: User | None = None) -> Q | None:
    try:
        return Q(sweep=uuid.UUID(value))
    except ValueError:
        return None


def _matches_text(value: str, _: User) -> Q:
    return Q(name__icontains=value) | Q(instance_prompt__icontains=value) | Q(tags__icontains=value)


_RULES: dict[str, Rule] = {
    "state": lambda value, _: STATE_FILTERS[value][1] if value in STATE_FILTERS else None,
    "mine": lambda value, user: Q(owner=user) if value == "on" else None,
    "by": _by_key("owner"),
    "dataset": _by_key("dataset"),
    "project": _by_key("project"),
    "public": lambda value, _: Q(is_public=value == "on") if value in ("on", "off") else None,
    "sweep": in_sweep,
    "tag": lambda value, _: Q(tags__icontains=value),
    "q": _matches_text,
}


def filter_tabs(user: User, params: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the tabs: each group of states with the number of jobs that its link shows."""
    counts = filtered_counts(user, params) if _has_other_filters(params) else group_counts(user)
    chosen = params.get("state", "")
    labels = {"": "All", **{key: label for key, (label, _) in STATE_FILTERS.items()}}
    return [
        {"key": key, "label": label, "count": counts.get(key or "all", ""), "chosen": key == chosen}
        for key, label in labels.items()
    ]


def group_counts(user: User) -> dict[str, str]:
    """Return the number of jobs in each group of the person's whole table, as text: 12, or 1,000+."""
    if user.can_administer:
        numbers = _fetch_row([_COUNT_ALL] * len(STATE_FILTERS), *STATE_FILTERS)
    else:
        values = [value for key in STATE_FILTERS for value in (key, str(user.pk), key)]
        numbers = _fetch_row([_COUNT_SEEN] * len(STATE_FILTERS), *values)
    return _as_texts(dict(zip(STATE_FILTERS, numbers, strict=True)))


def filtered_counts(user: User, params: Mapping[str, str]) -> dict[str, str]:
    if any(params.get(name) for name in UNCOUNTED):
        return {}
    rows = filtered(user, {**dict(params.items()), "state": ""}).select_related(None)
    return _as_texts(
        {key: rows.filter(rule)[: MAX_COUNT + 1].count() for key, (_, rule) in STATE_FILTERS.items()}
    )


def _has_other_filters(params: Mapping[str, str]) -> bool:
    return any(params.get(name) for name in FILTER_PARAMS if name != "state")


def _as_texts(counts: dict[str, int]) -> dict[str, str]:
    return {key: _as_text(number) for key, number in {"all": sum(counts.values()), **counts}.items()}


def _as_text(number: int) -> str:
    return f"{MAX_COUNT:,}+" if number > MAX_COUNT else f"{number:,}"


# One query for all numbers, because a round trip takes longer than a count. It is built only from our own
# table names and a number.
_TABLES = [model._meta.db_table for model in (Job, Dataset, Training, Connection, Project)]
_LATEST = [f"SELECT MAX(updated_at) FROM {table}" for table in _TABLES]  # nosec B608
_LATEST.append("SELECT MAX(deleted_at) FROM jobs_deletedjob")
_GROUP = 'SELECT 1 FROM jobs_job WHERE archived_at IS NULL AND "group" = %s'
_COUNT_ALL = f"SELECT COUNT(*) FROM ({_GROUP} LIMIT {MAX_COUNT + 1}) AS some_of_them"  # nosec B608
# As projects/access.py has it, by the index of jobs of a project, so that hidden ones are never read.
_OWN = "SELECT project_id FROM projects_member WHERE user_id = CAST(%s AS bigint)"
_SEEN = f"""{_GROUP} AND project_id IS NULL
    UNION ALL SELECT 1 FROM projects_project p CROSS JOIN jobs_job j
    WHERE (NOT p.is_private OR p.id IN ({_OWN}))
    AND j.project_id = p.id AND j.archived_at IS NULL AND j."group" = %s"""  # nosec B608
_COUNT_SEEN = f"SELECT COUNT(*) FROM ({_SEEN} LIMIT {MAX_COUNT + 1}) AS some_of_them"  # nosec B608


def _fetch_row(scalars: list[str], *values: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'({scalar})' for scalar in scalars)}", values)
        return tuple(cursor.fetchone())
