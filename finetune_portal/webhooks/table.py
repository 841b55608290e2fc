"""What the deliveries page shows: one page of rows, the filters, and a stamp of it all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from finetune_portal.jobs.models import Job
from finetune_portal.web.paging import page_of
from finetune_portal.webhooks.models import Delivery

Result = Delivery.Result
NARROWING = ("result", "event", "job")
MOST_EVENTS = 30
LARGEST_KEY = 18  # digits


def context(params: Mapping[str, str]) -> dict[str, Any]:
    """`params` is the query string: NARROWING, `before`, `after`."""
    seen = stamp()  # before the rows, so that a change in between is told at the next look
    job = _job(params)
    return {
        "page": page_of(
            _filtered(params, job), before=params.get("before", ""), after=params.get("after", "")
        ),
        "results": [(value, label, params.get("result", "") == value) for value, label in _choices()],
        "events": _events(),
        "event": params.get("event", ""),
        "job": job,
        "is_filtered": any(params.get(name) for name in NARROWING),
        "is_first": not (params.get("before") or params.get("after")),
        "stamp": seen,
    }


def stamp() -> str:
    """Changes whenever a delivery came or was digested."""
    newest = Delivery.objects.aggregate(pk=Max("pk"), processed_at=Max("processed_at"))
    return f"{newest['pk'] or 0}-{newest['processed_at'].timestamp() if newest['processed_at'] else 0:.6f}"


def _filtered(params: Mapping[str, str], job: Job | None) -> QuerySet[Delivery]:
    """`is_again`: the same news of the same job came before. Words that make no sense narrow nothing."""
    before = Delivery.objects.filter(
        request_id=OuterRef("request_id"), event=OuterRef("event"), pk__lt=OuterRef("pk")
    )
    rows = Delivery.objects.select_related("job").annotate(is_again=Exists(before.exclude(request_id="")))
    wanted = Q()
    if params.get("result") in Result.values:
        wanted &= Q(result=params["result"])
    if event := params.get("event"):
        wanted &= Q(event=event)
    if job:
        wanted &= Q(job=job)
    return rows.filter(wanted)


def _job(params: Mapping[str, str]) -> Job | None:
    key = params.get("job", "")
    is_key = key.isascii() and key.isdecimal() and len(key) <= LARGEST_KEY
    return Job.objects.filter(pk=int(key)).first() if is_key else None


def _choices() -> list[tuple[str, str]]:
    return [("", "All"), *Result.choices]


def _events() -> list[str]:
    named = Delivery.objects.exclude(event="").order_by("event").values_list("event", flat=True)
    return list(named.distinct()[:MOST_EVENTS])
