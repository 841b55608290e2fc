"""Middleware: security headers, log lines of denied requests, compression, reloads, messages for htmx."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.contrib.messages import get_messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import get_script_prefix, is_valid_path

from finetune_portal.web.http import SENT_BY_SCRIPT

logger = logging.getLogger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponseBase]

# Fonts, scripts, pictures and calls all come from the portal, so 'self' is enough.
# There is no `report-to`: beside one Chromium ignores `report-uri`, delays reports by a minute, and over
# plain http sends none.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; "
    f"report-uri {settings.FORCE_SCRIPT_NAME or ''}/csp-report/"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
        "microphone=(), payment=(), usb=()"
    ),
}


def security_headers(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if settings.SECURE:
            policy = response.headers["Content-Security-Policy"]
            response.headers["Content-Security-Policy"] = f"{policy}; upgrade-insecure-requests"
        if not request.path.startswith(settings.STATIC_URL):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return middleware


def log_denied_requests(get_response: GetResponse) -> GetResponse:
    """Log each 401 and 403 in one line, so that an operator can see attempted break-ins."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if response.status_code in (401, 403):
            person = getattr(request, "user", None)
            who = f"user {person.pk}" if person and person.is_authenticated else "anonymous"
            logger.warning(
                "Denied with %s: %s %s, %s", response.status_code, request.method, request.path, who
            )
        return response

    return middleware


def reject_nul_in_query(get_response: GetResponse) -> GetResponse:
    """Answer 400 to a NUL in the query string: PostgreSQL refuses to search for one.

    A view with `rejects_nul` answers in its own form.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return get_response(request)

    def process_view(request: HttpRequest, view: object, *_: object) -> None:
        if "%00" in request.META["QUERY_STRING"] and not getattr(view, "rejects_nul", False):
            raise BadRequest("NUL in the query.")

    middleware.process_view = process_view  # type: ignore[attr-defined]
    return middleware


def redirect_forms(get_response: GetResponse) -> GetResponse:
    """Tell static/js/forms.js where to go: a script cannot see where a redirect leads."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if SENT_BY_SCRIPT in request.headers and response.status_code in (301, 302, 303):
            response.status_code = 204
            response.headers["Portal-Location"] = response.headers["Location"]
            del response.headers["Location"]
        return response

    return middleware


class HTMLGZipMiddleware(GZipMiddleware):
    """Compress HTML only.

    Against BREACH stand Lax cookies, a new mask for each CSRF token, and Django's padding of random length.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)


def redirect_reloads(get_response: GetResponse) -> GetResponse:
    """Lead from an address that only takes a form to the page above it, which holds the form.

    A reload of a refused form, a bookmark and the way back after a sign-in ask for it by GET.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        is_page = getattr(getattr(request.resolver_match, "func", None), "login_required", True)
        if response.status_code == 405 and request.method in ("GET", "HEAD") and is_page:
            return redirect(get_script_prefix() + _address_above(request.path_info))
        return response

    return middleware


def _address_above(path: str) -> str:
    """The nearest address above that is in the URLconf, without its first slash."""
    above = path.rstrip("/").rpartition("/")[0] + "/"
    return above[1:] if above == "/" or is_valid_path(above) else _address_above(above)


def append_messages(get_response: GetResponse) -> GetResponse:
    """Append waiting messages, out of band, to a fragment that htmx swaps in.

    Not to one with which a page brings itself up to date (`seen`): they wait for another page, such as the
    one that is just being loaded after an action.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if (
            getattr(request, "htmx", False)
            and "seen" not in request.GET
            and isinstance(response, HttpResponse)
            and response.status_code in (200, 422)
            and not response.headers.get("HX-Redirect")
        ):
            waiting = list(get_messages(request))
            if waiting:
                html = render_to_string("_messages.html", {"messages": waiting, "out_of_band": True})
                response.write(html)
        return response

    return middleware
