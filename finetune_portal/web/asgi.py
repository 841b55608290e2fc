"""Shared by the raw ASGI endpoints beside Django: types, headers, the session, short responses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.db import connections
from django.http import HttpRequest

from finetune_portal.web import middleware, request_context
from finetune_portal.web.cookies import old_values

SECOND_FACTOR = "second_factor"  # in a session: the person passed the second factor, or needs none

Scope = MutableMapping[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# The portal's own headers, and those that Django's middleware adds to pages.
HEADERS = {
    **middleware.HEADERS,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": settings.X_FRAME_OPTIONS,
    "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
    "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
}
if settings.SECURE:
    HEADERS["Strict-Transport-Security"] = (
        f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
    )


def headers_of(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def same_origin(headers: dict[str, str]) -> bool:
    """Return False where the browser says that another site's page sent the request."""
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    if origin is None or origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    return urlsplit(origin).netloc == headers.get("host")


def session_of(headers: dict[str, str]) -> Any:
    """Return the session of the cookie; a new and empty one without it."""
    try:
        cookies = {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        cookies = {}
    token = (cookies | old_values(cookies)).get(settings.SESSION_COOKIE_NAME, "")
    return import_module(settings.SESSION_ENGINE).open_cookie(token)


def signed_in_user(headers: dict[str, str], *, acts: bool = False) -> Any | None:
    """Return the active user of the session cookie, or None. Queries the database.

    `acts` marks the session as used; a session that nobody uses expires.
    """
    session = session_of(headers)
    request = HttpRequest()
    request.session = session
    user = get_user(request)
    if not user.is_authenticated or (settings.REQUIRE_SECOND_FACTOR and not session.get(SECOND_FACTOR)):
        return None
    if acts:
        session.extend()
    return user


async def run_in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run database work in a pool thread that keeps no connection afterwards."""

    def run() -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await sync_to_async(run, thread_sensitive=False)()


async def respond(send: Send, status: int, headers: dict[str, str] | None = None, text: str = "") -> None:
    body = text.encode()
    lines = {
        **HEADERS,
        "X-Request-ID": request_context.current().request_id,
        "Content-Length": str(len(body)),
        **(headers or {}),
    }
    if status == 204:
        del lines["Content-Length"]
    if text:
        lines["Content-Type"] = "text/plain; charset=utf-8"
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
