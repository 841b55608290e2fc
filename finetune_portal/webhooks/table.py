"""The deliveries page: one page of rows, the filters, and a stamp that changes with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from finetune_portal.jobs.models import Job
from finetune_portal.web.paging import page_of
from finetune_portal.webhooks.models import Delivery

Result = Delivery.Result
FILTERS = ("result", "event", "job")
MOST_EVENTS = 30
LARGEST_KEY = 18  # digits


def context(params: Mapping[str, str]) -> dict[str, Any]:
    """`params` is the query string: FILTERS, `before`, `after`."""
    current = stamp()  # before the rows, so that the next poll sees a change in between
    job = _job(params)
    return {
        "page": page_of(
            _filtered(params, job), before=params.get("before", ""), after=params.get("after", "")
        ),
        "results": [(value, label, params.get("result", "") == value) for value, label in _choices()],
        "events": _events(),
        "event": params.get("event", ""),
        "job": job,
        "is_filtered": any(params.get(name) for name in FILTERS),
        "is_first": not (params.get("before") or params.get("after")),
        "stamp": current,
    }


def stamp() -> str:
    """Changes whenever a delivery is received or processed."""
    newest = Delivery.objects.aggregate(pk=Max("pk"), processed_at=Max("processed_at"))
    return f"{newest['pk'] or 0}-{newest['processed_at'].timestamp() if newest['processed_at'] else 0:.6f}"


def _filtered(params: Mapping[str, str], job: Job | None) -> QuerySet[Delivery]:
    """`is_again`: the same event of the same job was received before. Unknown values filter nothing."""
    before = Delivery.objects.filter(
        request_id=OuterRef("request_id"), event=OuterRef("event"), pk__lt=OuterRef("pk")
    )
    rows = Delivery.objects.select_related("job").annotate(is_again=Exists(before.exclude(request_id="")))
    condition = Q()
    if params.get("result") in Result.values:
        condition &= Q(result=params["result"])
    if event := params.get("event"):
        condition &= Q(event=event)
    if job:
        condition &= Q(job=job)
    return rows.filter(condition)


def _job(params: Mapping[str, str]) -> Job | None:
    key = params.get("job", "")
    is_key = key.isascii() and key.isdecimal() and len(key) <= LARGEST_KEY
    return Job.objects.filter(pk=int(key)).first() if is_key else None


def _choices() -> list[tuple[str, str]]:
    return [("", "All"), *Result.choices]


def _events() -> list[str]:
    names = Delivery.objects.exclude(event="").order_by("event").values_list("event", flat=True)
    return list(names.distinct()[:MOST_EVENTS])
