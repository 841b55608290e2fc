"""What outlasts a session asks first who it is, if the sign-in was long ago: a browser may be lent."""

from __future__ import annotations

from allauth.account.internal.flows.reauthentication import is_reauthentication_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode


def is_due(request: HttpRequest) -> bool:
    """Never for who signs in at the provider only: the portal cannot ask them."""
    return bool(is_reauthentication_required(request, app="portal"))


def ask(*, back_to: str) -> HttpResponse:
    return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': back_to})}")
