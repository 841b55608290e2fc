"""Health check, reports of the content security policy, light or dark, and error pages."""

from __future__ import annotations

import logging
import sys

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from finetune_portal.web import browser_choices, busy, disk_full, looks, request_context
from finetune_portal.web.http import (
    PLAIN,
    busy_response,
    failure,
    is_sent_by_script,
    sender_url,
    session_ended,
)

logger = logging.getLogger(__name__)

MAX_REPORT = 8 * 1024
STALE = "This page was open for too long, or it came from another site. Reload it and try again."
NO_ORIGIN = (
    "Your browser hid from which page this form came (“Origin: null”), so the portal did not accept it. "
    "A proxy, a browser extension or a privacy setting does that."
)
PROXY = (
    "The portal sends “Referrer-Policy: same-origin”. Let the proxy pass it on unchanged: with “no-referrer” "
    "browsers send “Origin: null” with every form."
)
REPORTS_A_MINUTE = 20  # a page in a loop, or a stranger, must not fill the log


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type=PLAIN)


@csrf_exempt
@login_not_required
@require_POST
def csp_report(request: HttpRequest) -> HttpResponse:
    """Log a browser's report of a policy violation: a fault of ours, or an attack."""
    body = request.read(MAX_REPORT)
    cache = caches["process"]  # strangers write no rows
    seen = cache.get_or_set("csp-reports", 0, 60) or 0
    if seen < REPORTS_A_MINUTE:
        cache.incr("csp-reports")
        logger.warning("Content security policy violated: %s", body.decode("utf-8", "replace"))
    return HttpResponse(status=204)


@require_POST
def choose_look(request: HttpRequest) -> HttpResponse:
    """Keep whether this browser shows the portal light, dark, or as the system has it."""
    look = request.POST.get("look", "")
    response = HttpResponse(status=204) if is_sent_by_script(request) else redirect(sender_url(request))
    if look in looks.LOOKS:
        browser_choices.keep(response, settings.LOOK_COOKIE_NAME, look)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Render 500.html without database, session or context processors: any of them may be what broke.

    Django calls this in the `except` clause of whatever view or middleware failed.
    """
    exc = sys.exception()
    if busy.is_busy(exc):
        return busy_response(request, busy.SENTENCE)
    if sentence := disk_full.sentence(exc):
        return failure(request, disk_full.STATUS, sentence)
    request_id = request_context.current().request_id
    html = render_to_string("500.html", {"request_id": request_id, "can_retry": request.method == "GET"})
    return HttpResponse(html, status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    is_guarded = request.resolver_match and getattr(request.resolver_match.func, "login_required", True)
    if is_guarded and is_sent_by_script(request) and not request.user.is_authenticated:
        return session_ended(request)  # the cookies went with the session, that of the CSRF token, too
    has_no_origin = request.headers.get("Origin") == "null"
    context = {"sentence": NO_ORIGIN if has_no_origin else STALE, "operator": PROXY if has_no_origin else ""}
    headers = {} if has_no_origin else {"Portal-Stale": "1"}  # reloading helps
    html = render_to_string("403_csrf.html", context)
    return HttpResponse(html, status=403, headers=headers)
