"""The endpoint that a provider posts to, the settings page of webhooks, and the deliveries."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.reauthentication import recent_sign_in_required
from finetune_portal.connections.models import Connection
from finetune_portal.web.guards import admin_only
from finetune_portal.web.http import fragment_of, fragment_or_redirect
from finetune_portal.web.public_address import is_public_https, unreachable_reason
from finetune_portal.webhooks import self_test, services, signature, signed, table
from finetune_portal.webhooks.models import Delivery, SelfTest

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024


@csrf_exempt
@login_not_required
@require_POST
def receive(request: HttpRequest, token: str) -> HttpResponse:
    """Store and answer at once; the worker then asks the provider. 503 if the database is unavailable."""
    try:
        return _receive(request, token)
    except DatabaseError:
        log.exception("A webhook could not be stored.")
        return HttpResponse(status=503, headers={"Retry-After": "30"})


def _receive(request: HttpRequest, token: str) -> HttpResponse:
    endpoint = services.endpoint_for_token(token)
    if endpoint is None:
        return HttpResponse(status=404)
    body = _body(request)
    if body is None:
        return HttpResponse(status=413)
    secret = services.secret_of(endpoint)
    if secret and not signature.is_right(secret, request.headers, body):
        services.note_unsigned(endpoint)
        return HttpResponse(status=401)
    services.store_delivery(endpoint, body, request.headers.get("webhook-id", "") if secret else "")
    return HttpResponse(status=200)


@csrf_exempt
@login_not_required
@require_POST
def receive_signed(request: HttpRequest, provider: str, token: str) -> HttpResponse:
    """Store a message about an attempt and answer at once; the worker verifies it.

    503 if the database is unavailable, 429 if the job has had too many today.
    """
    try:
        return _receive_signed(request, provider, token)
    except DatabaseError:
        log.exception("A webhook could not be stored.")
        return HttpResponse(status=503, headers={"Retry-After": "30"})


def _receive_signed(request: HttpRequest, provider: str, token: str) -> HttpResponse:
    attempt = signed.attempt_at(provider, token)
    if attempt is None:
        return HttpResponse(status=404)
    body = _body(request)
    if body is None:
        return HttpResponse(status=413)
    headers = signed.headers_to_verify(provider, request.headers)
    if headers is None:
        return HttpResponse(status=401)
    if not signed.store(attempt, headers, body):
        return HttpResponse(status=429, headers={"Retry-After": "3600"})
    return HttpResponse(status=200)


def _body(request: HttpRequest) -> bytes | None:
    """The body; None if it is too large."""
    if int(request.headers.get("Content-Length") or 0) > MAX_BODY:
        return None
    body = request.read(MAX_BODY + 1)
    return body if len(body) <= MAX_BODY else None


@require_safe
@admin_only
def page(request: PortalRequest) -> HttpResponse:
    return render(request, "webhooks/page.html", _context())


@require_POST
@admin_only
@recent_sign_in_required
def rotate(request: PortalRequest) -> HttpResponse:
    """Make a new webhook address and show it once."""
    address = services.new_address(actor=request.user)
    return render(request, "webhooks/page.html", {**_context(), "address": address})


@require_POST
@admin_only
def test(request: PortalRequest) -> HttpResponse:
    context = {"test": self_test.start(actor=request.user)}
    return fragment_or_redirect(request, "webhooks/_test.html", context, back_to=reverse("webhooks:page"))


@require_safe
@admin_only
@fragment_of("webhooks:page")
def test_state(request: PortalRequest) -> HttpResponse:
    """The result of the self-test. 204 while it is running, as the fragment polls."""
    test = SelfTest.objects.first()
    if test and not test.finished_at and not test.is_late:
        return HttpResponse(status=204)
    return render(request, "webhooks/_test.html", {"test": test})


@require_safe
@admin_only
def deliveries(request: PortalRequest) -> HttpResponse:
    return render(request, "webhooks/deliveries.html", table.context(request.GET))


@require_safe
@admin_only
@fragment_of("webhooks:deliveries")
def deliveries_table(request: PortalRequest) -> HttpResponse:
    """The table's fragment. 204 while nothing has changed since the stamp of the request."""
    if request.GET.get("seen") == table.stamp():
        return HttpResponse(status=204)
    return render(request, "webhooks/_table.html", table.context(request.GET))


def _context() -> dict[str, Any]:
    endpoints = list(services.active_endpoints().order_by("-pk"))
    connections = Connection.objects.in_use()
    own = [endpoint for endpoint in endpoints if not endpoint.is_local_engine]
    return {
        "endpoint": next((endpoint for endpoint in own if endpoint.expires_at is None), None),
        "ending": [endpoint for endpoint in own if endpoint.expires_at],
        "last_unsigned_at": max(
            (endpoint.last_unsigned_at for endpoint in endpoints if endpoint.last_unsigned_at), default=None
        ),
        "last_delivery": Delivery.objects.order_by("-pk").first(),
        "test": SelfTest.objects.first(),
        "portal_url": settings.PORTAL_URL,
        "signing": [each for each in connections if signed.is_signing(each)],
        "is_public": is_public_https(settings.PORTAL_URL),
        "unreachable_reason": unreachable_reason(settings.PORTAL_URL),
        "has_secret": bool(settings.SEGMIND_WEBHOOK_SECRET),
    }
