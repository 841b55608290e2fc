"""Light or dark: as the system has it, or as somebody chose in this browser."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

LOOKS = ("system", "light", "dark")


def chosen(request: HttpRequest) -> str:
    look = request.COOKIES.get(settings.LOOK_COOKIE_NAME, "")
    return look if look in LOOKS else "system"
