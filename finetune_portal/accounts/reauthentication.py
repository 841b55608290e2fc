"""Ask people to confirm who they are before lasting changes, if their sign-in was long ago."""

from __future__ import annotations

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode


def is_required(request: HttpRequest) -> bool:
    """Whether a confirmation is due. Never for people who sign in only at the identity provider."""
    try:
        _confirmed(request)
    except ReauthenticationRequired:
        return True
    return False


@reauthentication_required(app="portal")  # type: ignore[untyped-decorator]  # allauth has no types
def _confirmed(request: HttpRequest) -> None:
    """Return for a recent confirmation; the decorator raises ReauthenticationRequired for an old one."""


def redirect_to_reauthentication(*, back_to: str) -> HttpResponse:
    return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': back_to})}")
