"""The audit record for admins: filtered, page by page, and as a CSV file."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import cast

from django.apps import apps
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from finetune_portal.audit.forms import FilterForm
from finetune_portal.audit.models import AuditEvent
from finetune_portal.audit.services import record
from finetune_portal.web.csv_lines import csv_line, csv_response
from finetune_portal.web.guards import admin_only
from finetune_portal.web.http import HtmxRequest
from finetune_portal.web.paging import page_of

MOST_LINES = 100_000
COLUMNS = ("number", "time (UTC)", "who", "what", "on what", "details", "address", "request")


@require_safe
@admin_only
def events(request: HtmxRequest) -> HttpResponse:
    form = FilterForm(request.GET)
    rows = form.filtered(AuditEvent.objects.select_related("actor"))
    page = page_of(rows, before=request.GET.get("before", ""), after=request.GET.get("after", ""))
    _find_objects(page.rows)
    is_filtered = any(request.GET.get(name) for name in form.fields)
    context = {"page": page, "form": form, "is_filtered": is_filtered, "most": MOST_LINES}
    return render(request, "audit/_events.html" if request.htmx else "audit/list.html", context)


def _find_objects(rows: list[AuditEvent]) -> None:
    """Attach to each event what it is about, if that is still there and has a page."""
    pages = {
        model._meta.model_name: model for model in apps.get_models() if hasattr(model, "get_absolute_url")
    }
    keys = defaultdict(set)
    for row in rows:
        kind, _, key = row.thing.partition(" ")
        if kind in pages and key.isdecimal():
            keys[kind].add(int(key))
    objects = {
        f"{kind} {key}": each
        for kind, wanted in keys.items()
        for key, each in pages[kind]._default_manager.in_bulk(wanted).items()
        if getattr(each, "deleted_at", None) is None
    }
    for row in rows:
        row.about = objects.get(row.thing)  # type: ignore[attr-defined]


@require_safe
@admin_only
def as_csv(request: HtmxRequest) -> HttpResponse:
    """Export what the filter shows, the newest first."""
    rows = FilterForm(request.GET).filtered(AuditEvent.objects.select_related("actor")).order_by("-pk")
    admin = cast(AbstractBaseUser, request.user)
    record(admin, "audit.export", admin, filter=request.GET.urlencode()[:500])
    return csv_response("audit", _lines(rows[:MOST_LINES].iterator()))


def _lines(rows: Iterator[AuditEvent]) -> Iterator[str]:
    yield csv_line(COLUMNS)
    for row in rows:
        who = f"{row.actor} <{row.actor.email}>" if row.actor else "the portal"
        detail = json.dumps(row.detail, ensure_ascii=False)
        at = row.at.strftime("%Y-%m-%d %H:%M:%S")
        yield csv_line((row.pk, at, who, row.action, row.thing, detail, row.address, row.request_id))
