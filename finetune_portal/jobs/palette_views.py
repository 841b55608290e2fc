"""The results of the command palette, which is on every page."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.jobs import palette
from finetune_portal.web.http import fragment_of


@require_safe
@fragment_of("jobs:list")
def results(request: PortalRequest) -> HttpResponse:
    groups = palette.search(request.user, request.GET.get("q", ""))
    return render(request, "jobs/_palette_results.html", {"groups": groups})
