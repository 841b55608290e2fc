"""Requests and responses with htmx: fragments, redirects, and messages about the outcome of an action."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django_htmx.http import HttpResponseClientRedirect, HttpResponseLocation
from django_htmx.middleware import HtmxDetails

from finetune_portal.web import busy
from finetune_portal.web.errors import ActionError

PLAIN = "text/plain; charset=utf-8"
SENT_BY_SCRIPT = "Portal-Form"  # the header of a plain form that static/js/forms.js sends


class HtmxRequest(HttpRequest):
    """A request with what django-htmx's middleware adds. For annotations only."""

    htmx: HtmxDetails


P = ParamSpec("P")
R = TypeVar("R", bound=HtmxRequest)
View = Callable[Concatenate[R, P], HttpResponse]


def fragment_of(page: str) -> Callable[[View[R, P]], View[R, P]]:
    """Redirect a plain visit of a fragment's URL to the page (a URL name) that includes the fragment."""

    def decorate(view: View[R, P]) -> View[R, P]:
        @wraps(view)
        def visit(request: R, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.htmx or request.htmx.history_restore_request:
                return redirect(reverse(page, args=args, kwargs=kwargs))
            return view(request, *args, **kwargs)

        return visit

    return decorate


def fragment_or_redirect(
    request: HtmxRequest, template: str, context: dict[str, Any], *, back_to: str
) -> HttpResponse:
    """Answer a form after its action: the changed fragment for htmx, else a redirect to the page."""
    if request.htmx:
        return render(request, template, context)
    return redirect(back_to)


@contextmanager
def action_messages(request: HtmxRequest, success: str = "") -> Iterator[None]:
    """Show the outcome of the action in the block: `success`, or the sentence of an ActionError."""
    try:
        yield
    except ActionError as exc:
        messages.error(request, str(exc))
    else:
        if success:
            messages.success(request, success)


def is_sent_by_script(request: HttpRequest) -> bool:
    """Return whether a script of the portal sent this, which shows a failure on its page."""
    return bool(getattr(request, "htmx", None)) or SENT_BY_SCRIPT in request.headers


def sender_url(request: HttpRequest) -> str:
    """Return the address of the portal's page that sent a form; of the first page where that is not known."""
    page = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure()):
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    return page


def htmx_page_path(request: HttpRequest) -> str:
    """Return the path of the page that a script sends from; empty for another site's page."""
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    try:
        return (htmx.current_url_abs_path if htmx is not None else "") or ""
    except ValueError:  # the header holds no valid URL
        return ""


def busy_response(request: HttpRequest, sentence: str) -> HttpResponse:
    """Answer 503: what was sent is not done, and may be sent again soon."""
    return failure(request, 503, sentence, busy.HEADERS)


def failure(
    request: HttpRequest, status: int, sentence: str, headers: dict[str, str] | None = None
) -> HttpResponse:
    """Answer with the sentence: as the error page of this status, or as text to a script that uploads."""
    if "Tus-Resumable" in request.headers:
        return HttpResponse(sentence, status=status, content_type=PLAIN, headers=headers)
    html = render_to_string(f"{status}.html", {"sentence": sentence, "can_retry": request.method == "GET"})
    return HttpResponse(html, status=status, headers=headers)


def session_ended(request: HttpRequest) -> HttpResponse:
    """Send a script's page to the sign-in, which says why and leads back."""
    query = urlencode({"next": htmx_page_path(request) or "/", "ended": "on"})
    return HttpResponse(status=401, headers={"HX-Redirect": f"{resolve_url(settings.LOGIN_URL)}?{query}"})


def redirect_to(request: HtmxRequest, url: str) -> HttpResponse:
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


def swap_main_to(request: HtmxRequest, url: str) -> HttpResponse:
    """Like `redirect_to`, but htmx swaps only the main part, so an upload in the document goes on."""
    if request.htmx:
        return HttpResponseLocation(url, target="#main", select="#main", swap="outerHTML")
    return redirect(url)
