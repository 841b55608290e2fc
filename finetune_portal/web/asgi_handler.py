"""Serve Django under ASGI with each page made in one thread of a pool.

Django's own handler starts a thread for each request and changes between that thread and the event loop again
and again, which costs more CPU than most pages do (figures in docs/architecture.md). Middleware and views are
plain functions here, so one change there and one back are enough. A body that arrives slowly, a response
that is read slowly and one that is waited for (awaited.py) hold no thread.

This handler calls five parts of Django's `ASGIHandler` that are not public; tests/web pins them. The public
`a2wsgi.WSGIMiddleware` needs as much CPU for pages (form 20.7 ms, table 10.5 against 10.8 ms) and 0.9 ms more
for small responses, but it reads the body in the thread: 32 slow senders would hold the whole pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from importlib import import_module
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.signals import request_started
from django.urls import set_script_prefix

from finetune_portal.web.asgi import Message, Receive, Scope, Send, run_in_thread
from finetune_portal.web.awaited import AwaitedResponse, wait_for
from finetune_portal.web.downloads import BlockResponse

THREADS = 32  # some wait for a provider; each may hold a database connection
READERS = 4  # of large files, so that downloads never take the threads of pages
SEND_BYTES, SEND_SECONDS = 256 * 1024, 120.0  # who reads more slowly than 2 kB/s is cut off


class ThreadPoolASGIHandler(ASGIHandler):
    def __init__(self, spool: Callable[[], IO[bytes]]) -> None:
        """Take `spool`, which opens a file for the body of a request."""
        super().__init__()
        self._spool = spool
        import_module(settings.ROOT_URLCONF)  # loads all views now, so that the first page does not wait
        self._threads = ThreadPoolExecutor(THREADS, "page")
        self._readers = ThreadPoolExecutor(READERS, "block")

    def load_middleware(self, is_async: bool = False) -> None:
        """Load middleware as plain functions, whatever the base class asks for."""
        super().load_middleware()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        work = copy_context().run
        loop = asyncio.get_running_loop()
        response, content = await loop.run_in_executor(self._threads, work, self._respond, scope, body)
        if isinstance(response, AwaitedResponse):
            if not await wait_for(response, scope, receive):
                return
            await run_in_thread(response.take_over)
            content = response.content
        await send(_start_of(response))
        if isinstance(content, BlockResponse):
            await self._send_blocks(content, receive, send)
        else:
            await send({"type": "http.response.body", "body": content})

    async def read_body(self, receive: Receive) -> IO[bytes]:
        """Read the body: a small one into memory, a larger one into a file, in threads that may wait.

        Raises RequestAborted, and what the file raises.
        """
        body: IO[bytes] = BytesIO()
        more = True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestAborted
                data, more = message.get("body", b""), message.get("more_body", False)
                if not isinstance(body, BytesIO):
                    await asyncio.to_thread(body.write, data)
                elif body.write(data) and body.tell() > settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
                    body = await asyncio.to_thread(self._spooled, body.getvalue())
            await asyncio.to_thread(body.truncate)
        except BaseException:
            body.close()
            raise
        body.seek(0)
        return body

    def _spooled(self, start: bytes) -> IO[bytes]:
        body = self._spool()
        body.write(start)
        return body

    async def _send_blocks(self, response: BlockResponse, receive: Receive, send: Send) -> None:
        """Send a large file. A thread is held while a block is read, and not while it is sent.

        Raises TimeoutError when the browser takes nothing for SEND_SECONDS, so that its connection ends.
        """
        loop = asyncio.get_running_loop()
        blocks = iter(response)
        gone = asyncio.ensure_future(receive())  # the body was read, so what comes is the end
        try:
            while not gone.done() and (block := await loop.run_in_executor(self._readers, next, blocks, b"")):
                for at in range(0, len(block), SEND_BYTES):
                    part = block[at : at + SEND_BYTES]
                    message = {"type": "http.response.body", "body": part, "more_body": True}
                    await asyncio.wait_for(send(message), SEND_SECONDS)
            await send({"type": "http.response.body"})
        finally:
            gone.cancel()
            await loop.run_in_executor(self._readers, response.close)

    def _respond(self, scope: Scope, body: IO[bytes]) -> tuple[Any, bytes | BlockResponse]:
        """Run Django for one request to its end. Streamed responses but BlockResponse are small: pictures."""
        with closing(body):
            set_script_prefix(get_script_prefix(scope))
            request_started.send(sender=type(self), scope=scope)
            request, error = self.create_request(scope, body)
            response: Any = self.get_response(request) if request else error
            response._handler_class = type(self)  # noqa: SLF001 - as Django does it; request_finished names the handler
            if isinstance(response, BlockResponse):
                return response, response
            with closing(response):
                return response, response.getvalue()


def _start_of(response: Any) -> Message:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    cookies = [(b"Set-Cookie", cookie.OutputString().encode("ascii")) for cookie in response.cookies.values()]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers + cookies}
