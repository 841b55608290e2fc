"""Role guards for views: each reads one right of the signed-in person and answers 403 in words."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse

from finetune_portal.web.http import P, R, View


def needs(right: str, sentence: str) -> Callable[[View[R, P]], View[R, P]]:
    """Let through only those whose `User.<right>` is true."""

    def decorate(view: View[R, P]) -> View[R, P]:
        @wraps(view)
        def check(request: R, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not getattr(request.user, right):
                raise PermissionDenied(sentence)
            return view(request, *args, **kwargs)

        return check

    return decorate


maker_only = needs("can_train", "Viewers can look but not train. An admin can change your role.")
admin_only = needs("can_administer", "Only admins can do this. Ask one of them.")
