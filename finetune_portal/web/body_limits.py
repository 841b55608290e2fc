"""Limit the size and time of request bodies before Django spools them to disk.

Forms, API calls and webhooks are small and quick. Only a signed-in person may send a large form, and only a
maker a file, to the views that take one (`takes_file` in guards.py). A view with `body_bytes` says itself, by
the headers, how much it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.urls import Resolver404, resolve
from django_htmx.middleware import HtmxDetails

from finetune_portal.web.asgi import (
    Message,
    Receive,
    Scope,
    Send,
    headers_of,
    respond,
    run_in_thread,
    signed_in_user,
)
from finetune_portal.web.http import is_sent_by_script, session_ended

App = Callable[[Scope, Receive, Send], Awaitable[None]]

STRANGER_BYTES = 64 * 1024  # of who is not signed in, and of webhooks
FORM_BYTES = 5 * 1024 * 1024 // 2
WEBHOOK_SECONDS = 10.0
TOO_LARGE = "The request body is too large."


async def limit_body(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Pass the request on to `app`, or answer 413 or 408 where its body is too large or too slow."""
    headers = headers_of(scope)
    is_hook = scope["path"].startswith("/hooks/")
    declared = _number(headers.get("content-length", ""))
    most = STRANGER_BYTES
    if not is_hook and ("transfer-encoding" in headers or declared > most):
        most = await run_in_thread(_most_bytes, scope["path"], headers)
    if declared > most:
        await _refuse_length(scope, declared, most, send)
        return
    body = LimitedBody(receive, most, WEBHOOK_SECONDS if is_hook else None)
    await app(scope, body.receive, send)
    if body.refused:
        await respond(
            send, body.refused, {"Connection": "close"}, TOO_LARGE if body.refused == 413 else "Too slow."
        )


def _most_bytes(path: str, headers: dict[str, str]) -> int:
    """Return how large a body may be. Who has no cookie costs no query, unless the view asks for one."""
    view = _view_at(path)
    if own := getattr(view, "body_bytes", None):
        return max(STRANGER_BYTES, int(own(headers)))
    user = signed_in_user(headers) if "cookie" in headers else None
    if user is None:
        return STRANGER_BYTES
    file_bytes = getattr(view, "file_bytes", int)  # 0 where the view takes no file
    return FORM_BYTES + (int(file_bytes()) if user.can_train else 0)


def _view_at(path: str) -> Callable[..., Any] | None:
    try:
        return resolve(path).func
    except Resolver404:
        return None


async def _refuse_length(scope: Scope, declared: int, most: int, send: Send) -> None:
    """Answer 413, or lead a page to the sign-in whose form is too large only because its session ended."""
    request: Any = ASGIRequest(scope, BytesIO())
    request.htmx = HtmxDetails(request)
    if most == STRANGER_BYTES and declared <= FORM_BYTES and is_sent_by_script(request):
        response = session_ended(request)
        await respond(send, response.status_code, {**response.headers, "Connection": "close"})
        return
    await respond(send, 413, {"Connection": "close"}, TOO_LARGE)


class LimitedBody:
    """Counts the bytes of a body. After too many, or too long, the app sees a disconnected client.

    `refused` is then the status to answer with, else 0.
    """

    def __init__(self, receive: Receive, most: int, seconds: float | None) -> None:
        self._receive, self._left = receive, most
        self._until = seconds and asyncio.get_running_loop().time() + seconds
        self._is_whole = False
        self.refused = 0

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until or None):
                message: Any = await self._receive()
        except TimeoutError:
            return self._refuse(408)
        self._left -= len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        return self._refuse(413) if self._left < 0 else message

    def _refuse(self, status: int) -> Message:
        self.refused = status
        return {"type": "http.disconnect"}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
