"""The notifications page: a person's channels, for admins the team's, and this browser's switch."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.reauthentication import recent_sign_in_required
from finetune_portal.notifications import access, confirmation, services
from finetune_portal.notifications.forms import ChannelForm
from finetune_portal.notifications.models import SUBSCRIBABLE, Event
from finetune_portal.web.errors import ActionError
from finetune_portal.web.forms import reads_forms
from finetune_portal.web.http import action_messages, fragment_or_redirect, redirect_to


@require_safe
def page(request: PortalRequest) -> HttpResponse:
    return render(request, "notifications/list.html", _context(request, ChannelForm(user=request.user)))


@require_POST
@reads_forms(ChannelForm)
@recent_sign_in_required
def add(request: PortalRequest) -> HttpResponse:
    form = ChannelForm(request.POST, user=request.user)
    if not form.is_valid():
        return _invalid(request, form)
    try:
        services.add(actor=request.user, **form.cleaned_data)
    except ActionError as exc:
        form.add_error(None, str(exc))
        return _invalid(request, form)
    return redirect_to(request, _page())


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Confirm an address by the link that was sent to it. The button is for people, not for mail scanners."""
    channel = confirmation.channel_of(token)
    is_confirmed = request.method == "POST" and confirmation.confirm(token)
    context = {"channel": channel, "is_confirmed": is_confirmed}
    is_gone = channel is None or (request.method == "POST" and not is_confirmed)
    template = "notifications/confirm_gone.html" if is_gone else "notifications/confirm.html"
    return render(request, template, context, status=410 if is_gone else 200)


@require_safe
def state(request: PortalRequest, pk: int) -> HttpResponse:
    """The result of the last message. 204 while one is on its way, as the fragment polls."""
    channel = access.channel_to_change(request.user, pk)
    if request.htmx and channel.notifications.filter(finished_at=None).exists():
        return HttpResponse(status=204)
    return fragment_or_redirect(request, "notifications/_state.html", {"channel": channel}, back_to=_page())


@require_POST
def test(request: PortalRequest, pk: int) -> HttpResponse:
    with action_messages(request):
        services.test(access.channel_to_change(request.user, pk), actor=request.user)
    channel = access.visible(request.user).filter(pk=pk).first()
    if channel is None:
        return redirect_to(request, _page())
    return fragment_or_redirect(request, "notifications/_state.html", {"channel": channel}, back_to=_page())


@require_POST
def switch(request: PortalRequest, pk: int) -> HttpResponse:
    channel = access.channel_to_change(request.user, pk)
    event, on = request.POST.get("event"), request.POST.get("on") == "on"
    if event not in SUBSCRIBABLE:
        raise BadRequest("The form names no event.")
    try:
        services.switch(channel, Event(event), on=on, actor=request.user)
    except ActionError as exc:
        messages.error(request, str(exc))
        return redirect_to(request, _page())
    context = {"channel": channel, "event": Event(event), "on": on}
    return fragment_or_redirect(request, "notifications/_switch.html", context, back_to=_page())


@require_POST
def remove(request: PortalRequest, pk: int) -> HttpResponse:
    channel = access.channel_to_change(request.user, pk)
    with action_messages(request, f"{channel} was deleted."):
        services.remove(channel, actor=request.user)
    return redirect_to(request, _page())


def _invalid(request: PortalRequest, form: ChannelForm) -> HttpResponse:
    template = "notifications/_form.html" if request.htmx else "notifications/list.html"
    return render(request, template, _context(request, form), status=422)


def _page() -> str:
    return reverse("notifications:list")


def _context(request: PortalRequest, form: ChannelForm) -> dict[str, Any]:
    rows = list(access.visible(request.user))
    return {
        "form": form,
        "own": [row for row in rows if not row.is_team_channel],
        "teams": [row for row in rows if row.is_team_channel],
        "sends_mail": bool(settings.EMAIL_HOST),
    }
