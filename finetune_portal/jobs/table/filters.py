"""What the table's filter menu offers, what of it is chosen, and what a search keeps beside itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet

from finetune_portal.accounts.models import User
from finetune_portal.datasets import access as datasets
from finetune_portal.jobs.models import SavedView

IN_THE_MENU = ("by", "dataset", "public", "tag", "archived", "sort")
MOST_DATASETS = 50  # any other one is chosen from its own page


def context(user: User, kept: Mapping[str, str], orders: Mapping[str, str]) -> dict[str, Any]:
    """`kept` is what narrows and sorts the table now, `orders` the name of each order."""
    library = datasets.search(user, "").order_by("-pk")[:MOST_DATASETS]
    people = _named(User.objects.filter(is_active=True).order_by("name"), kept.get("by", ""))
    sets = _named(library, kept.get("dataset", ""))
    chips = {
        "by": people.get(kept.get("by", ""), ""),
        "dataset": sets.get(kept.get("dataset", ""), ""),
        "public": {"on": "Public", "off": "Private"}.get(kept.get("public", ""), ""),
        "tag": kept.get("tag", ""),
        "sweep": "One sweep" if "sweep" in kept else "",
        "archived": "Archived" if kept.get("archived") == "on" else "",
    }
    return {
        "kept": kept,
        "people": people,
        "datasets": sets,
        "orders": orders,
        "chips": [(label, urlencode(_without(kept, name))) for name, label in chips.items() if label],
        "narrowed": sum(name in kept for name in IN_THE_MENU),
        "beside_search": _without(kept, "q"),
        "beside_menu": _without(kept, *IN_THE_MENU),
        "views": SavedView.objects.filter(owner=user),
    }


def _without(kept: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in kept.items() if name not in names}


def _named(rows: QuerySet[Any], chosen: str) -> dict[str, str]:
    """The names by their keys as a URL has them; the chosen one is never missing."""
    found = dict(rows.values_list("pk", "name"))
    if chosen.isdecimal() and len(chosen) < 19 and int(chosen) not in found:
        found |= dict(rows.model._default_manager.filter(pk=int(chosen)).values_list("pk", "name"))
    return {str(pk): name for pk, name in found.items()}
