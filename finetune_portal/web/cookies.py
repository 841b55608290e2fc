"""The portal's cookies, by names of its own: browsers do not tell two ports of a host apart.

Two portals, or a portal beside another Django, would otherwise sign each other's people out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def name_for(kind: str, portal_url: str) -> str:
    """Return the name of a cookie, such as that of the `session`, of the portal at this address."""
    return f"portal-{kind}-{hashlib.sha256(portal_url.encode()).hexdigest()[:8]}"


def old_values(cookies: Mapping[str, str]) -> dict[str, str]:
    """Return the values that still have the names of version 0.1, by their new names.

    To be dropped in the release after 0.2: then no session of 0.1 is left.
    """
    old = settings.OLD_COOKIE_NAMES.items()
    return {new: cookies[name] for new, name in old if name in cookies and new not in cookies}


def rename_old_cookies(get_response: GetResponse) -> GetResponse:
    """Read cookies by their old names, too, and set them by the new ones: an upgrade signs nobody out.

    The old ones stay in the browser, for they may be another Django's by now.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        values = old_values(request.COOKIES)
        request.COOKIES.update(values)
        response = get_response(request)
        for name, value in values.items():
            if name not in response.cookies:
                is_session = name == settings.SESSION_COOKIE_NAME
                response.set_cookie(
                    name,
                    value,
                    max_age=settings.SESSION_COOKIE_AGE if is_session else settings.CSRF_COOKIE_AGE,
                    path=settings.SESSION_COOKIE_PATH,
                    secure=settings.SECURE,
                    httponly=True,
                    samesite="Lax",
                )
        return response

    return middleware
