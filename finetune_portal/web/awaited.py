"""A response for what is not finished yet: asgi_handler.py waits for its end and holds no thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from django.http import HttpResponse, JsonResponse

from finetune_portal.web.asgi import Receive, Scope

CHECK_SECONDS = 1.0  # until a process that stops answers with what there is


class AwaitedResponse(JsonResponse):
    """Where nothing waits, it is sent as it is.

    `wait` ends once the work has ended, and is given `seconds`. `respond` then makes the response that is
    sent, also where the time was over; it may query the database.
    """

    def __init__(
        self,
        data: Any,
        *,
        wait: Callable[[], Awaitable[None]],
        respond: Callable[[], HttpResponse],
        seconds: float,
        **options: Any,
    ) -> None:
        super().__init__(data, **options)
        self.wait, self.respond, self.seconds = wait, respond, seconds

    def take_over(self) -> None:
        """Become the response of `respond`, with the headers that middleware gave this one."""
        response = self.respond()
        self.status_code, self.content = response.status_code, response.content
        for name, value in response.items():
            self.headers[name] = value
        self.headers["Content-Length"] = str(len(self.content))


async def wait_for(response: AwaitedResponse, scope: Scope, receive: Receive) -> bool:
    """Wait for the end, the time, or the stop of this process. Return False where the client has left."""
    loop = asyncio.get_running_loop()
    is_serving: Callable[[], bool] = scope.get("state", {}).get("is_serving", lambda: True)
    latest = loop.time() + response.seconds
    ended = asyncio.ensure_future(response.wait())
    gone = asyncio.ensure_future(receive())  # the body was read, so what comes is the end
    try:
        while not ended.done() and not gone.done() and is_serving() and (left := latest - loop.time()) > 0:
            pause = min(left, CHECK_SECONDS)
            await asyncio.wait({ended, gone}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        return not gone.done()
    finally:
        ended.cancel()
        gone.cancel()
