"""Is the portal ready, and how is it? For the operator's tools."""

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
    """Only with a database that answers and a worker that is alive."""
    try:
        last = Heartbeat.objects.aggregate(last=Max("at"))["last"]
    except DatabaseError:
        return HttpResponse("The database does not answer.\n", status=503, content_type=PLAIN)
    if last is None or last < now() - ALIVE:
        return HttpResponse("The worker is not running.\n", status=503, content_type=PLAIN)
    return HttpResponse("ready\n", content_type=PLAIN)


@login_not_required
@require_safe
def prometheus(request: HttpRequest) -> HttpResponse:
    """For who has the operator's token, or asks from one of the operator's addresses."""
    if not (_has_token(request) or _is_listed(request)):
        sentence = "Ask with PORTAL_METRICS_TOKEN as a bearer token, or from PORTAL_METRICS_NETWORKS.\n"
        return HttpResponse(sentence, status=403, content_type=PLAIN)
    return HttpResponse(metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _has_token(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    return bool(settings.METRICS_TOKEN) and compare_digest(given, settings.METRICS_TOKEN.encode())


def _is_listed(request: HttpRequest) -> bool:
    """From this machine only by its own names: else it may be a proxy that does not say for whom it asks."""
    address, name = ip_address(client_ip(request)), split_domain_port(request.get_host())[0]
    is_through = address.is_loopback and name not in settings.LOOPBACK
    return not is_through and any(address in network for network in settings.METRICS_NETWORKS)
