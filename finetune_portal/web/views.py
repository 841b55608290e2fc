"""Health for the operator's tools, reports of browsers, and the pages of what went wrong."""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from finetune_portal.web import request_context
from finetune_portal.web.http import PLAIN

logger = logging.getLogger(__name__)

MAX_REPORT = 8 * 1024
REPORTS_A_MINUTE = 20  # a page in a loop, or a stranger, must not fill the log


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type=PLAIN)


@csrf_exempt
@login_not_required
@require_POST
def csp_report(request: HttpRequest) -> HttpResponse:
    """A browser tells that a page tried what the policy forbids: a fault of ours, or an attack. Logged."""
    body = request.read(MAX_REPORT)
    seen = cache.get_or_set("csp-reports", 0, 60) or 0
    if seen < REPORTS_A_MINUTE:
        cache.incr("csp-reports")
        logger.warning("The browser refused something: %s", body.decode("utf-8", "replace"))
    return HttpResponse(status=204)


def server_error(request: HttpRequest) -> HttpResponse:
    """Needs no database, no session and no context: any of them may be what broke."""
    html = render_to_string("500.html", {"request_id": request_context.current().request_id})
    return HttpResponse(html, status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    sentence = "This page was open too long or came from elsewhere. Reload it and try again."
    return render(request, "403.html", {"exception": sentence}, status=403)
