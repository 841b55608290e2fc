"""The table's filter menu: its options, the active filters as chips, and what other forms carry along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet

from finetune_portal.accounts.models import User
from finetune_portal.datasets import access as datasets
from finetune_portal.jobs.table import saved_views
from finetune_portal.jobs.table.display import LAYOUTS, layout_of
from finetune_portal.projects import access as projects
from finetune_portal.web.keys import parse_key

MENU_PARAMS = ("by", "dataset", "project", "public", "tag", "archived", "sort")
MAX_PROJECTS = 200
MAX_DATASETS = 50  # the page of any other dataset links to its jobs


def filter_context(
    user: User, active: Mapping[str, str], orders: Mapping[str, str], params: Mapping[str, str]
) -> dict[str, Any]:
    """`active` are the parameters that filter and sort the table now, `orders` the label of each order.

    `params` is the whole query string, whose layout goes with each form and chip.
    """
    layout = {"layout": params["layout"]} if params.get("layout") in LAYOUTS else {}
    kept = {**active, **layout}
    library = datasets.search(user, "").order_by("-pk")[:MAX_DATASETS]
    people = _options(
        User.objects.filter(is_active=True).order_by("name"), User.objects.all(), active.get("by", "")
    )
    options = _options(library, datasets.visible(user), active.get("dataset", ""))
    seen = projects.visible(user).order_by("folded_name")
    own_projects = _options(seen[:MAX_PROJECTS], seen, active.get("project", ""))
    chips = {
        "by": getattr(people.get(active.get("by", "")), "name", ""),
        "dataset": getattr(options.get(active.get("dataset", "")), "label", ""),
        "project": getattr(own_projects.get(active.get("project", "")), "name", ""),
        "public": {"on": "Public", "off": "Private"}.get(active.get("public", ""), ""),
        "tag": active.get("tag", ""),
        "sweep": "One sweep" if "sweep" in active else "",
        "archived": "Archived" if active.get("archived") == "on" else "",
    }
    return {
        "active": active,
        "people": {key: person.name for key, person in people.items()},
        "datasets": options,
        "projects": own_projects,
        "orders": orders,
        "chips": [(label, urlencode(_without(kept, name))) for name, label in chips.items() if label],
        "filter_count": sum(name in active for name in MENU_PARAMS),
        "search_params": _without(kept, "q"),
        "menu_params": _without(kept, *MENU_PARAMS),
        "view_query": urlencode({**active, "layout": layout_of(params)}),
        **saved_views.view_tabs(user, active, layout_of(params)),
    }


def _without(active: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in active.items() if name not in names}


def _options(rows: QuerySet[Any], all_rows: QuerySet[Any], chosen: str) -> dict[str, Any]:
    """Map keys, as text, to rows. The chosen one of `all_rows` is never missing."""
    options = {str(row.pk): row for row in rows}
    if (pk := parse_key(chosen)) is not None and str(pk) not in options:
        options |= {str(row.pk): row for row in all_rows.filter(pk=pk)}
    return options
