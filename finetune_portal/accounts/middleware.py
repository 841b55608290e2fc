"""Open sessions, require a sign-in by default, and a second factor where the operator requires one.

A fragment or an upload whose session has ended gets a 401, not the login page; a form, what was typed in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import middleware
from django.contrib.sessions import middleware as sessions_middleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import urlencode

from finetune_portal.accounts import second_factor, session_store, sessions
from finetune_portal.web.forms import label_of
from finetune_portal.web.http import PLAIN, is_sent_by_script, sender_url, session_ended

# Fields that hold a secret, and those that nobody typed.
NOT_SHOWN = re.compile(
    "pass|key|token|code|secret|current|address|confirmed|question|machine_type|connection|dataset|next"
)
WITHOUT_SECOND_FACTOR = ("/profile/second-factor/", "/profile/confirm/", "/logout/")


class SessionMiddleware(sessions_middleware.SessionMiddleware):
    """Open the session of the cookie's token, and put the token of a new session into the cookie.

    With the cookie of a session that has ended, in whichever way, the browser forgets the pictures that it
    keeps for a day.
    """

    def process_request(self, request: HttpRequest) -> None:
        request.session = session_store.open_cookie(request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""))

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response = super().process_response(request, response)
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
        if cookie is not None and cookie.value:
            token = session_store.token_of(request.session)  # type: ignore[arg-type]  # our own store
            cookie.set(cookie.key, token, token)
        elif cookie is not None and request.COOKIES[cookie.key]:
            response.headers["Clear-Site-Data"] = '"cache"'
        return response


class LoginRequiredMiddleware(middleware.LoginRequiredMiddleware):
    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: Any,
        view_kwargs: Any,
    ) -> HttpResponseBase | None:
        response = super().process_view(request, view_func, view_args, view_kwargs)
        is_public = not getattr(view_func, "login_required", True)
        if response or is_public or not request.user.is_authenticated:
            return response
        if not request.path_info.startswith(WITHOUT_SECOND_FACTOR) and second_factor.is_missing(request):
            return self._require_second_factor(request)
        is_polling = getattr(request, "htmx", None) and request.method == "GET"
        if not is_polling:
            sessions.update_last_seen(request, request.user)
        return None

    def handle_no_permission(  # type: ignore[override]  # the stubs know only the redirect
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseBase:
        if "Tus-Resumable" in request.headers:
            return HttpResponse("Sign in again.", status=401, content_type=PLAIN)
        if is_sent_by_script(request):
            return session_ended(request)
        if shown := _form_ended(request, view_func):
            return shown
        return super().handle_no_permission(request, view_func)

    def _require_second_factor(self, request: HttpRequest) -> HttpResponseBase:
        page = resolve_url("mfa_index")
        if is_sent_by_script(request):
            return HttpResponse(status=403, headers={"HX-Redirect": page})
        if request.method in ("GET", "HEAD"):
            return redirect(page)
        return HttpResponse("Set up a second factor first.", status=403, content_type=PLAIN)


def _form_ended(request: HttpRequest, view: Callable[..., HttpResponseBase]) -> HttpResponse | None:
    """Show what was typed in a form whose session ended, to be copied; None for single words.

    Nothing is stored: only who sent the form sees it, and nobody can send it again by this page.
    """
    if request.method != "POST":
        return None
    typed = [
        (label, value, "\n" in value or len(value) > 60)
        for name, values in request.POST.lists()
        if not NOT_SHOWN.search(name) and (label := label_of(view, name))
        for value in values
        if value.strip()
    ]
    if not any(len(value.split()) > 1 for _, value, _ in typed):
        return None
    query = urlencode({"next": sender_url(request)})
    context = {"typed": typed, "sign_in_url": f"{resolve_url(settings.LOGIN_URL)}?{query}"}
    return render(request, "accounts/form_ended.html", context, status=401)
