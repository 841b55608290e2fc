"""Login is the default, and a second factor where it is asked of all. A piece or an upload whose session has
ended is told so, not given the login page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.utils.http import urlencode

from finetune_portal.accounts import second_factor, sessions
from finetune_portal.web.http import PLAIN, htmx_page_path

WITHOUT_SECOND_FACTOR = ("/profile/second-factor/", "/profile/confirm/", "/logout/")


class SignedInFirst(LoginRequiredMiddleware):
    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: Any,
        view_kwargs: Any,
    ) -> HttpResponseBase | None:
        answer = super().process_view(request, view_func, view_args, view_kwargs)
        is_open = not getattr(view_func, "login_required", True)
        if answer or is_open or not request.user.is_authenticated:
            return answer
        if not request.path.startswith(WITHOUT_SECOND_FACTOR) and second_factor.is_missing(request):
            return self._set_one_up(request)
        asks_by_itself = getattr(request, "htmx", None) and request.method == "GET"
        if not asks_by_itself:
            sessions.note_seen(request, request.user)
        return None

    def handle_no_permission(  # type: ignore[override]  # the stubs know only the redirect
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseBase:
        if "Tus-Resumable" in request.headers:
            return HttpResponse("Sign in again.", status=401, content_type=PLAIN)
        if getattr(request, "htmx", None):
            page = htmx_page_path(request) or "/"
            address = f"{resolve_url('accounts:login')}?{urlencode({'next': page})}"
            return HttpResponse(status=401, headers={"HX-Redirect": address})
        return super().handle_no_permission(request, view_func)

    def _set_one_up(self, request: HttpRequest) -> HttpResponseBase:
        page = resolve_url("mfa_index")
        if getattr(request, "htmx", None):
            return HttpResponse(status=403, headers={"HX-Redirect": page})
        if request.method in ("GET", "HEAD"):
            return redirect(page)
        return HttpResponse("Set up a second factor first.", status=403, content_type=PLAIN)
