"""Names of the cookies of the portal that answers at an address."""

from __future__ import annotations

from finetune_portal.web import cookies


def session_cookie(portal_url: str) -> str:
    return cookies.name_for("session", portal_url)


def csrf_cookie(portal_url: str) -> str:
    return cookies.name_for("csrf", portal_url)
