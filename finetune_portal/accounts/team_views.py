"""Views of the team. Everyone sees it; admins invite, change roles, deactivate and reactivate accounts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from finetune_portal.accounts import emails, services, throttle
from finetune_portal.accounts.forms import InviteForm, RoleForm
from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.models import Invitation, User
from finetune_portal.accounts.reauthentication import recent_sign_in_required
from finetune_portal.accounts.team import open_invitations, users
from finetune_portal.web.guards import admin_only

LAST_ADMIN = "{} is the only active admin. Make someone else an admin first."


@require_safe
def team(request: PortalRequest) -> HttpResponse:
    return render(request, "accounts/team.html", _context(InviteForm()))


@require_POST
@admin_only
@recent_sign_in_required
def invite(request: PortalRequest) -> HttpResponse:
    """Create a one-time link and show it once; also send it where there is a mail server."""
    form = InviteForm(request.POST)
    if not form.is_valid():
        return render(request, "accounts/team.html", _context(form), status=422)
    email = form.cleaned_data["email"]
    link = services.invite(**form.cleaned_data, actor=request.user)
    body = emails.INVITATION.format(name=request.user, link=services.link_for_mail(link))
    is_sent = bool(email) and emails.send("Your invitation to the Finetune Portal", body, to=email)
    context = {"link": link, "email": email, "is_sent": is_sent, "sends_mail": bool(settings.EMAIL_HOST)}
    return render(request, "accounts/invitation.html", context)


@require_POST
@admin_only
def revoke(request: PortalRequest, pk: int) -> HttpResponse:
    services.revoke(get_object_or_404(Invitation, pk=pk), actor=request.user)
    messages.success(request, "That link no longer works.")
    return redirect("accounts:team")


@require_POST
@admin_only
@recent_sign_in_required
def role(request: PortalRequest, pk: int) -> HttpResponse:
    person, form = get_object_or_404(User, pk=pk), RoleForm(request.POST)
    if not form.is_valid():
        return render(request, "accounts/team.html", _context(InviteForm()), status=422)
    try:
        services.set_role(person, form.cleaned_data["role"], actor=request.user)
    except services.LastAdminError:
        messages.error(request, LAST_ADMIN.format(person))
    else:
        messages.success(request, f"{person} is now {_article(form.cleaned_data['role'])}.")
    return redirect("accounts:team")


@require_POST
@admin_only
@recent_sign_in_required
def active(request: PortalRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    try:
        if request.POST.get("on"):
            services.reactivate(person, actor=request.user)
            messages.success(request, f"{person} can sign in again.")
        else:
            services.deactivate(person, actor=request.user)
            messages.success(
                request, f"{person} is signed out and cannot sign in any more. Everything they made stays."
            )
    except services.LastAdminError:
        messages.error(request, LAST_ADMIN.format(person))
    return redirect("accounts:team")


@require_POST
@admin_only
def unlock(request: PortalRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    throttle.unlock(person, actor=request.user)
    messages.success(request, f"{person} can try again now.")
    return redirect("accounts:team")


@require_POST
@admin_only
@recent_sign_in_required
def password_link(request: PortalRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk, is_active=True)
    link = services.password_link(person, actor=request.user)
    return render(request, "accounts/password_link.html", {"link": link, "person": person})


@require_POST
@admin_only
@recent_sign_in_required
def remove_second_factor(request: PortalRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    services.remove_second_factor(person, actor=request.user)
    messages.success(request, f"{person} now signs in without a second factor, and was signed out.")
    return redirect("accounts:team")


def _article(role: str) -> str:
    return "an admin" if role == User.Role.ADMIN else f"a {role}"


def _context(form: InviteForm) -> dict[str, Any]:
    return {
        "form": form,
        "people": users(),
        "invitations": open_invitations(),
        "roles": User.Role.choices,
        "roles_from": settings.OIDC_NAME if any(settings.OIDC_GROUPS.values()) else "",
        "passwords_on": settings.PASSWORD_SIGN_IN,
    }
