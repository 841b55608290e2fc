"""Readiness and metrics, for the operator's tools."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from secrets import compare_digest

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from finetune_portal.operations import metrics
from finetune_portal.web.client_ip import client_ip
from finetune_portal.web.http import PLAIN
from finetune_portal.worker.models import Heartbeat

ALIVE = timedelta(seconds=60)


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 only while the database answers and a worker is alive."""
    try:
        last = Heartbeat.objects.aggregate(last=Max("beat_at"))["last"]
    except DatabaseError:
        return HttpResponse("The database does not answer.\n", status=503, content_type=PLAIN)
    if last is None or last < now() - ALIVE:
        return HttpResponse("The worker is not running.\n", status=503, content_type=PLAIN)
    return HttpResponse("ready\n", content_type=PLAIN)


@login_not_required
@require_safe
def prometheus(request: HttpRequest) -> HttpResponse:
    """Answer requests with the operator's token, or from one of the operator's networks."""
    if not (_has_token(request) or _is_listed(request)):
        sentence = "Send PORTAL_METRICS_TOKEN as a bearer token, or ask from PORTAL_METRICS_NETWORKS.\n"
        return HttpResponse(sentence, status=403, content_type=PLAIN)
    return HttpResponse(metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _has_token(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    return bool(settings.METRICS_TOKEN) and compare_digest(given, settings.METRICS_TOKEN.encode())


def _is_listed(request: HttpRequest) -> bool:
    """A loopback address counts only under a loopback name: else it may be a proxy that hides its client."""
    address, name = ip_address(client_ip(request)), split_domain_port(request.get_host())[0]
    is_through = address.is_loopback and name not in settings.LOOPBACK
    return not is_through and any(address in network for network in settings.METRICS_NETWORKS)
