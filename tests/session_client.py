"""Django's test client, for sessions whose cookie holds a token and not their key.

Importing this module is enough: it changes the two places at which the client makes or reads the cookie.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.test.client import ClientMixin

# What the stubs leave out or call a method is private to the client, and changed here.
_set_login_cookies = ClientMixin._set_login_cookies  # type: ignore[attr-defined]


def _session(client: Any) -> Any:
    from finetune_portal.accounts import session_store  # noqa: PLC0415 - Django is set up by now

    cookie = client.cookies.get(settings.SESSION_COOKIE_NAME)
    session = session_store.open_cookie(cookie.value if cookie else "")
    if not cookie:
        session.save()
        client.cookies[settings.SESSION_COOKIE_NAME] = session_store.token_of(session)
    return session


def _set_cookies(client: Any, request: HttpRequest) -> None:
    from finetune_portal.accounts import session_store  # noqa: PLC0415

    _set_login_cookies(client, request)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    token = session_store.token_of(request.session)
    cookie.set(cookie.key, token, token)


ClientMixin.session = property(_session)  # type: ignore[method-assign, assignment]
ClientMixin._set_login_cookies = _set_cookies  # type: ignore[attr-defined]
