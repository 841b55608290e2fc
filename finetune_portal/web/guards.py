"""Role guards for views. Each checks one right of the signed-in user, and answers 403 with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse

from finetune_portal.web.http import P, R, View


def require_right(right: str, sentence: str) -> Callable[[View[R, P]], View[R, P]]:
    """Return a decorator that admits users whose property `right` is true, and shows others `sentence`."""

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
