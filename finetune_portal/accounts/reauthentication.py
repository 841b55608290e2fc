"""Ask people to confirm who they are before lasting changes, if their sign-in was long ago."""

from __future__ import annotations

from functools import wraps

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from finetune_portal.web.http import P, R, View, htmx_page_path, sender_url


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


def recent_sign_in_required(view: View[R, P]) -> View[R, P]:
    """Decorate a view whose POST gives or widens access, so that a session left open makes no back door.

    After the confirmation the person is back on the page with the form, and what was typed is still there.
    """

    @wraps(view)
    def check(request: R, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method == "POST" and is_required(request):
            return redirect_to_reauthentication(back_to=htmx_page_path(request) or sender_url(request))
        return view(request, *args, **kwargs)

    return check


def redirect_to_reauthentication(*, back_to: str) -> HttpResponse:
    return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': back_to})}")
