"""The notifications page: a person's channels, for admins the team's, and this browser's switch."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.reauthentication import recent_sign_in_required
from finetune_portal.notifications import access, services
from finetune_portal.notifications.forms import ChannelForm
from finetune_portal.notifications.models import SUBSCRIBABLE, Event
from finetune_portal.web.http import fragment_or_redirect, redirect_to


@require_safe
def page(request: PortalRequest) -> HttpResponse:
    return render(request, "notifications/list.html", _context(request, ChannelForm(user=request.user)))


@require_POST
@recent_sign_in_required
def add(request: PortalRequest) -> HttpResponse:
    form = ChannelForm(request.POST, user=request.user)
    if not form.is_valid():
        template = "notifications/_form.html" if request.htmx else "notifications/list.html"
        return render(request, template, _context(request, form), status=422)
    services.add(actor=request.user, **form.cleaned_data)
    return redirect_to(request, _page())


@require_safe
def state(request: PortalRequest, pk: int) -> HttpResponse:
    """The result of the last message. 204 while one is on its way, as the fragment polls."""
    channel = access.channel_to_change(request.user, pk)
    if request.htmx and channel.notifications.filter(finished_at=None).exists():
        return HttpResponse(status=204)
    return fragment_or_redirect(request, "notifications/_state.html", {"channel": channel}, back_to=_page())


@require_POST
def test(request: PortalRequest, pk: int) -> HttpResponse:
    services.test(access.channel_to_change(request.user, pk), actor=request.user)
    context = {"channel": access.channel_to_change(request.user, pk)}
    return fragment_or_redirect(request, "notifications/_state.html", context, back_to=_page())


@require_POST
def switch(request: PortalRequest, pk: int) -> HttpResponse:
    channel = access.channel_to_change(request.user, pk)
    event, on = request.POST.get("event"), request.POST.get("on") == "on"
    if event not in SUBSCRIBABLE:
        raise BadRequest("The form names no event.")
    services.switch(channel, Event(event), on=on, actor=request.user)
    context = {"channel": channel, "event": Event(event), "on": on}
    return fragment_or_redirect(request, "notifications/_switch.html", context, back_to=_page())


@require_POST
def remove(request: PortalRequest, pk: int) -> HttpResponse:
    channel = access.channel_to_change(request.user, pk)
    services.remove(channel, actor=request.user)
    messages.success(request, f"{channel} was deleted.")
    return redirect_to(request, _page())


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
