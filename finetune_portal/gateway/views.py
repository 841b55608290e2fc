"""The pages of personal tokens, and the API reference for people and for tools."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from finetune_portal.accounts import reauthentication
from finetune_portal.accounts.http import PortalRequest
from finetune_portal.gateway import access, services
from finetune_portal.gateway.endpoints import base_url
from finetune_portal.gateway.forms import TokenForm
from finetune_portal.gateway.openapi import document
from finetune_portal.web.forms import reads_forms


@require_http_methods(["GET", "HEAD", "POST"])
@reads_forms(TokenForm)
@reauthentication.recent_sign_in_required
def tokens(request: PortalRequest) -> HttpResponse:
    """List the tokens, or make one. The new token is shown in this one answer and stored nowhere."""
    form = TokenForm(request.POST if request.method == "POST" else None, user=request.user)
    if request.method != "POST":
        return render(request, "gateway/tokens.html", _context(request, form))
    if not form.is_valid():
        return render(request, "gateway/tokens.html", _context(request, form), status=422)
    fields = form.cleaned_data
    token, text = services.new_token(
        owner=request.user, name=fields["name"], rights=fields.get("rights", []), days=fields["days"]
    )
    return render(request, "gateway/made.html", {"token": token, "text": text, "base_url": base_url(request)})


@require_POST
def revoke(request: PortalRequest, pk: int) -> HttpResponse:
    token = access.token_to_revoke(request.user, pk)
    services.revoke(token, actor=request.user)
    messages.success(request, f"“{token}” is revoked. Requests with it are rejected from now on.")
    return redirect("gateway:tokens")


@require_safe
def reference(request: PortalRequest) -> HttpResponse:
    context = {"base_url": base_url(request), "wait_seconds": settings.RUN_WAIT_SECONDS}
    return render(request, "gateway/reference.html", context)


@login_not_required
@require_safe
def openapi_document(request: HttpRequest) -> HttpResponse:
    return JsonResponse(document(base_url(request)))


def _context(request: PortalRequest, form: TokenForm) -> dict[str, Any]:
    rows = list(access.tokens(request.user))
    return {
        "form": form,
        "asks_first": reauthentication.is_required(request),
        "own": [token for token in rows if token.owner_id == request.user.pk],
        "others": [token for token in rows if token.owner_id != request.user.pk],
    }
