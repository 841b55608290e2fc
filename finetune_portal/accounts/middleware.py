"""Login is the default. A piece or an upload whose session has ended is told so, not given the login page."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.http import urlencode


class SignedInFirst(LoginRequiredMiddleware):
    def handle_no_permission(  # type: ignore[override]  # the stubs know only the redirect
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseBase:
        if "Tus-Resumable" in request.headers:
            return HttpResponse("Sign in again.", status=401, content_type="text/plain")
        htmx = getattr(request, "htmx", None)
        if htmx:
            page = htmx.current_url_abs_path or "/"
            address = f"{resolve_url('accounts:login')}?{urlencode({'next': page})}"
            return HttpResponse(status=401, headers={"HX-Redirect": address})
        return super().handle_no_permission(request, view_func)
