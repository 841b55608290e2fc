"""The page of the costs: sums by person, connection and month, each single cost, and both as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.audit.services import record
from finetune_portal.costs import access, totals
from finetune_portal.costs.forms import FilterForm
from finetune_portal.costs.models import Cost
from finetune_portal.web.csv_lines import csv_line, csv_response
from finetune_portal.web.paging import page_of

EACH = "each"
VIEWS = {
    "person": "By person",
    "project": "By project",
    "connection": "By connection",
    "month": "By month",
    EACH: "Each cost",
}
MOST_LINES = 100_000
SUM_COLUMNS = (
    *("currency", "jobs", "runs", "billed", "estimated, no bill yet", "held", "without a price", "total"),
)
EACH_COLUMNS = (
    *(
        "number",
        "time (UTC)",
        "kind",
        "job",
        "name",
        "person",
        "e-mail",
        "project",
        "connection",
        "token",
        "state",
    ),
    *("currency", "estimate", "estimate from", "estimated (UTC)", "bill", "bill from", "billed (UTC)"),
)


@require_safe
def page(request: PortalRequest) -> HttpResponse:
    form, by = _filter(request)
    rows = form.filtered(all_months=by == "month")
    context: dict[str, Any] = {
        "form": form,
        "by": by,
        "views": VIEWS,
        "totals": totals.totals(rows),
        "approvals": access.open_approvals(request.user),
        "month": None if by == "month" else form.chosen_month,
    }
    if by == EACH:
        each = rows.select_related("person", "connection", "project")
        context["page"] = page_of(
            each, before=request.GET.get("before", ""), after=request.GET.get("after", "")
        )
    else:
        context["lines"] = totals.lines(rows, by)
    return render(request, "costs/_costs.html" if request.htmx else "costs/list.html", context)


@require_safe
def as_csv(request: PortalRequest) -> HttpResponse:
    """Export what the page shows; each cost with the newest first."""
    form, by = _filter(request)
    rows = form.filtered(all_months=by == "month")
    record(request.user, "cost.export", request.user, filter=request.GET.urlencode()[:500])
    if by == EACH:
        return csv_response("costs", _each_line(rows))
    lines = (_cells(line) for line in totals.lines(rows, by))
    return csv_response(f"costs-by-{by}", map(csv_line, [(by, *SUM_COLUMNS), *lines]))


def _filter(request: PortalRequest) -> tuple[FilterForm, str]:
    form = FilterForm(request.GET, access.visible(request.user))
    by = request.GET.get("by", "")
    return form, by if by in VIEWS else next(iter(VIEWS))


def _cells(line: totals.Line) -> tuple[object, ...]:
    counts = (line.currency, line.jobs, line.generations)
    amounts = (f"{each:f}" for each in (line.billed, line.unbilled, line.held))
    return (line.label, *counts, *amounts, line.unknown, f"{line.total:f}")


def _each_line(rows: QuerySet[Cost]) -> Iterator[str]:
    yield csv_line(EACH_COLUMNS)
    for row in rows.select_related("person", "connection", "project").order_by("-pk")[:MOST_LINES].iterator():
        yield csv_line(
            (
                *(row.pk, _time(row.at), row.get_kind_display(), row.job, row.title),
                *(row.person.name, row.person.email, row.project or "", row.connection, row.token),
                *(row.get_state_display(), row.currency),
                *(_amount(row.estimate), row.get_estimate_source_display(), _time(row.estimated_at)),
                *(_amount(row.bill), row.get_bill_source_display(), _time(row.billed_at)),
            )
        )


def _amount(value: Any) -> str:
    return "" if value is None else f"{value:f}"


def _time(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if value else ""
