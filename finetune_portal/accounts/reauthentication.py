"""Ask people to confirm who they are before lasting changes, if their sign-in was long ago."""

from __future__ import annotations

from functools import wraps

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from allauth.socialaccount.models import SocialAccount
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from finetune_portal.accounts import single_sign_on
from finetune_portal.web.http import P, R, View, htmx_page_path, sender_url


def is_required(request: HttpRequest) -> bool:
    """Whether a confirmation is due."""
    try:
        _confirmed(request)
    except ReauthenticationRequired:
        return True
    is_old = get_adapter(request).is_reauthentication_required(app="portal")
    return is_old and is_by_identity_provider(request)


def is_by_identity_provider(request: HttpRequest) -> bool:
    """Whether this person has no password and no second factor, so that only the sign-in there confirms.

    allauth asks such people for nothing.
    """
    if not single_sign_on.is_enabled() or get_adapter(request).get_reauthentication_methods(request.user):
        return False
    is_connected: bool = SocialAccount.objects.filter(user=request.user.pk).exists()
    return is_connected


@reauthentication_required(app="portal")  # type: ignore[untyped-decorator]  # allauth has no types
def _confirmed(request: HttpRequest) -> None:
    """Return for a recent confirmation; the decorator raises ReauthenticationRequired for an old one."""


def recent_sign_in_required(view: View[R, P]) -> View[R, P]:
    """Decorate a view whose POST gives or widens access, so that a session left open makes no back door."""

    @wraps(view)
    def check(request: R, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        question = ask(request) if request.method == "POST" else None
        return question or view(request, *args, **kwargs)

    return check


def ask(request: HttpRequest) -> HttpResponse | None:
    """Return the way to a confirmation if one is due, for a view in which some POSTs alone widen access.

    After the confirmation the person is back on the page with the form, and what was typed is still there.
    """
    if not is_required(request):
        return None
    return redirect_to_reauthentication(back_to=htmx_page_path(request) or sender_url(request))


def redirect_to_reauthentication(*, back_to: str) -> HttpResponse:
    return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': back_to})}")
