"""A choice of how pages look, kept in the browser that made it."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.http import HttpResponse

KEPT_FOR = timedelta(days=365)


def keep(response: HttpResponse, cookie: str, value: str) -> None:
    response.set_cookie(
        cookie,
        value,
        max_age=KEPT_FOR,
        path=settings.SESSION_COOKIE_PATH,
        secure=settings.SECURE,
        httponly=True,
        samesite="Lax",
    )
