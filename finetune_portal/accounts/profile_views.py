"""Views of the own profile: name, password, sessions."""

from __future__ import annotations

from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from finetune_portal.accounts import second_factor, services, sessions, sign_in_options
from finetune_portal.accounts.forms import ChangePasswordForm, NameForm
from finetune_portal.accounts.http import PortalRequest
from finetune_portal.audit.services import record
from finetune_portal.web.forms import reads_forms


@require_http_methods(["GET", "HEAD", "POST"])
@reads_forms(NameForm)
def profile(request: PortalRequest) -> HttpResponse:
    form = NameForm(request.POST or None, initial={"name": request.user.name})
    if request.method == "POST" and form.is_valid():
        services.rename(request.user, form.cleaned_data["name"])
        messages.success(request, "Your name was changed.")
        return redirect("accounts:profile")
    status = 422 if form.is_bound else 200
    return render(request, "accounts/profile.html", _context(request, form), status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def password(request: PortalRequest) -> HttpResponse:
    """Set a new password, which ends every other session."""
    form = ChangePasswordForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            ended = sessions.end_all(request.user, but=request.session.session_key)
            user = form.save()
            record(user, "account.password", user, by="profile", sessions=ended)
        update_session_auth_hash(request, user)
        messages.success(request, "Your password was changed. Every other browser is signed out.")
        return redirect("accounts:profile")
    status = 422 if form.is_bound else 200
    return render(request, "accounts/password.html", {"form": form}, status=status)


@require_POST
def end_others(request: PortalRequest) -> HttpResponse:
    with transaction.atomic():
        ended = sessions.end_all(request.user, but=request.session.session_key)
        record(request.user, "session.ended", request.user, sessions=ended)
    messages.success(request, "You are signed out everywhere else.")
    return redirect("accounts:profile")


@require_POST
def end_session(request: PortalRequest, pk: int) -> HttpResponse:
    session = get_object_or_404(UserSession, pk=pk, user=request.user)
    with transaction.atomic():
        session.end()
        record(request.user, "session.ended", request.user, sessions=1)
    messages.success(request, "That browser is signed out.")
    return redirect("accounts:profile")


def _context(request: PortalRequest, form: NameForm) -> dict[str, Any]:
    return {
        "form": form,
        "sessions": sessions.sessions_of(request.user),
        "this_session": request.session.session_key,
        "has_second_factor": second_factor.has_second_factor(request.user),
        "needs_second_factor": settings.REQUIRE_SECOND_FACTOR,
        **sign_in_options.context(),
        "is_connected": request.user.socialaccount_set.filter(provider="oidc").exists(),  # type: ignore[attr-defined]
    }
