"""Limit the size and time of request bodies before Django spools them to disk.

Forms, API calls and webhooks are small and quick. Only a signed-in person may send a file by a plain form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

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

App = Callable[[Scope, Receive, Send], Awaitable[None]]

FORM_BYTES, WEBHOOK_BYTES = 5 * 1024 * 1024 // 2, 64 * 1024
WEBHOOK_SECONDS = 10.0
TOO_LARGE = "The request body is too large."


async def limit_body(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Pass the request on to `app`, or answer 413 or 408 where its body is too large or too slow."""
    headers = headers_of(scope)
    is_hook = scope["path"].startswith("/hooks/")
    most, seconds = (WEBHOOK_BYTES, WEBHOOK_SECONDS) if is_hook else (FORM_BYTES, None)
    declared = headers.get("content-length", "")
    is_chunked = "transfer-encoding" in headers
    if (
        not is_hook
        and (is_chunked or _number(declared) > most)
        and await run_in_thread(signed_in_user, headers)
    ):
        most = settings.DATASET_MAX_BYTES + FORM_BYTES
    if _number(declared) > most:
        await respond(send, 413, {"Connection": "close"}, TOO_LARGE)
        return
    body = LimitedBody(receive, most, seconds)
    await app(scope, body.receive, send)
    if body.refused:
        await respond(
            send, body.refused, {"Connection": "close"}, TOO_LARGE if body.refused == 413 else "Too slow."
        )


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
    return int(text) if text.isdecimal() else 0
