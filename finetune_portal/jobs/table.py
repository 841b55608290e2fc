"""What the live table shows: the rows of one page, the counts of the filters, and a stamp of it all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import access, choices
from finetune_portal.jobs.models import Connection, Job
from finetune_portal.web.paging import page_of

FILTERS = {
    "active": ("Running", Q(state__in=choices.ACTIVE)),
    "ready": ("Ready", Q(state=choices.State.READY)),
    "failed": (
        "Failed",
        Q(state__in=(choices.State.FAILED, choices.State.REFUSED, choices.State.CLOSED)),
    ),
}


def context(user: User, params: Mapping[str, str]) -> dict[str, Any]:
    """`params` is the query string: `state`, `mine`, `q`, `before`, `after`."""
    seen = stamp(user, params)  # before the rows, so that a change in between is told at the next look
    rows = _filtered(user, params)
    page = page_of(rows, before=params.get("before", ""), after=params.get("after", ""))
    for job in page.rows:
        job.may_change = access.may_change(user, job)  # type: ignore[attr-defined]
    return {
        "page": page,
        "filters": _filters(user, params),
        "query": params.get("q", ""),
        "mine": params.get("mine") == "on",
        "is_live": any(job.is_active for job in page.rows),
        "is_filtered": any(params.get(name) for name in ("state", "mine", "q")),
        "stamp": seen,
        "connection": Connection.objects.first(),
    }


def stamp(user: User, params: Mapping[str, str]) -> str:
    """Changes whenever a row that could be shown, or the upstream's mood, changed."""
    jobs = access.visible(user).aggregate(last=Max("changed"))["last"]
    datasets = Dataset.objects.aggregate(last=Max("changed"))["last"]
    mood = Connection.objects.aggregate(last=Max("changed"))["last"]
    return "-".join(f"{moment.timestamp():.6f}" for moment in (jobs, datasets, mood) if moment) or "none"


def _filtered(user: User, params: Mapping[str, str]) -> QuerySet[Job]:
    rows = access.visible(user)
    if params.get("state") in FILTERS:
        rows = rows.filter(FILTERS[params["state"]][1])
    if params.get("mine") == "on":
        rows = rows.filter(owner=user)
    if words := params.get("q", "").strip():
        rows = rows.filter(Q(name__icontains=words) | Q(instance_prompt__icontains=words))
    return rows


def _filters(user: User, params: Mapping[str, str]) -> list[dict[str, Any]]:
    counts = access.visible(user).aggregate(
        all=Count("pk"), **{key: Count("pk", filter=rule) for key, (_, rule) in FILTERS.items()}
    )
    chosen = params.get("state", "")
    shown = [("", "All", counts["all"])]
    shown += [(key, label, counts[key]) for key, (label, _) in FILTERS.items()]
    return [
        {"key": key, "label": label, "count": count, "chosen": key == chosen} for key, label, count in shown
    ]
