"""The address that the upstream knocks at, and the settings page's webhook part."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from finetune_portal.web.guards import admin_only
from finetune_portal.web.http import PortalRequest
from finetune_portal.webhooks import services

MAX_BODY = 64 * 1024


@csrf_exempt
@login_not_required
@require_POST
def receive(request: HttpRequest, token: str) -> HttpResponse:
    """Store and answer at once; the worker asks the upstream what is true."""
    if not services.is_valid(token):
        return HttpResponse(status=404)
    if int(request.headers.get("Content-Length") or 0) > MAX_BODY:
        return HttpResponse(status=413)
    body = request.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        return HttpResponse(status=413)
    services.accept(body)
    return HttpResponse(status=200)


@require_POST
@admin_only
def rotate(request: PortalRequest) -> HttpResponse:
    """Make a new webhook address and show it this once."""
    address = services.new_address(actor=request.user)
    messages.success(request, "New webhook address made. The one before works for another day.")
    return render(request, "webhooks/address.html", {"address": address})
