"""How much of a body comes in before Django looks at it, which spools a whole one to disk first.

Strangers send forms, calls and webhooks, all of them small and quick. Only who is signed in may send a file
by a plain form.
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
    answer,
    headers_of,
    in_thread,
    person_behind,
)

App = Callable[[Scope, Receive, Send], Awaitable[None]]

SMALL, HOOK = 5 * 1024 * 1024 // 2, 64 * 1024
HOOK_SECONDS = 10.0
TOO_LARGE = "That is more than fits here."


async def bounded(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the body through to `app`, or say that it is too large or too slow."""
    headers = headers_of(scope)
    is_hook = scope["path"].startswith("/hooks/")
    most, seconds = (HOOK, HOOK_SECONDS) if is_hook else (SMALL, None)
    declared = headers.get("content-length", "")
    is_chunked = "transfer-encoding" in headers
    if not is_hook and (is_chunked or _number(declared) > most) and await in_thread(person_behind, headers):
        most = settings.DATASET_MAX_BYTES + SMALL
    if _number(declared) > most:
        await answer(send, 413, {"Connection": "close"}, TOO_LARGE)
        return
    body = Body(receive, most, seconds)
    await app(scope, body.receive, send)
    if body.refused:
        await answer(
            send, body.refused, {"Connection": "close"}, TOO_LARGE if body.refused == 413 else "Too slow."
        )


class Body:
    """Counts what comes in. After too much, or too long, it is as if the sender had hung up."""

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
