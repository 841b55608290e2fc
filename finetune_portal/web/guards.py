"""Guards for views: who may use one, by a right of the signed-in user, and which ones take a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse

from finetune_portal.web.busy import BusyError
from finetune_portal.web.http import P, R, View, busy_response


def require_right(right: str, sentence: str) -> Callable[[View[R, P]], View[R, P]]:
    """Return a decorator that admits users whose property `right` is true.

    Others get 403 with `sentence`.
    """

    def decorate(view: View[R, P]) -> View[R, P]:
        @wraps(view)
        def check(request: R, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not getattr(request.user, right):
                raise PermissionDenied(sentence)
            return view(request, *args, **kwargs)

        return check

    return decorate


maker_only = require_right("can_train", "Viewers can look, but cannot train. An admin can change your role.")
admin_only = require_right("can_administer", "Only admins can do this. Ask an admin.")


def takes_file(file_bytes: Callable[[], int]) -> Callable[[View[R, P]], View[R, P]]:
    """Return a decorator for views whose form has a file of at most `file_bytes()`; others get small bodies.

    It is the outermost one, because body_limits.py reads it from the view of the URL.
    """

    def decorate(view: View[R, P]) -> View[R, P]:
        view.file_bytes = file_bytes  # type: ignore[attr-defined]
        return view

    return decorate


def says_busy(view: View[R, P]) -> View[R, P]:
    """Answer a BusyError of the view with its sentence. What was sent stays in the form that sent it."""

    @wraps(view)
    def answer(request: R, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except BusyError as exc:
            return busy_response(request, str(exc))

    return answer
