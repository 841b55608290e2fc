"""Light or dark: as the system has it, or as somebody chose in this browser."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse

LOOKS = ("system", "light", "dark")
KEPT_FOR = timedelta(days=365)


def chosen(request: HttpRequest) -> str:
    look = request.COOKIES.get(settings.LOOK_COOKIE_NAME, "")
    return look if look in LOOKS else "system"


def keep(response: HttpResponse, look: str) -> None:
    response.set_cookie(
        settings.LOOK_COOKIE_NAME,
        look,
        max_age=KEPT_FOR,
        path=settings.SESSION_COOKIE_PATH,
        secure=settings.SECURE,
        httponly=True,
        samesite="Lax",
    )
