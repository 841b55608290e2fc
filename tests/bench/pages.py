"""What a page costs by Django's own ASGI handler and by web/asgi_handler.py: `python -m tests.bench.pages`.

CPU of the process in ms for one answer, p50 of five rounds, in turns; on SQLite, without the network.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from io import BytesIO
from typing import Any

from tests.bench.in_process import portal

ROUNDS, CALLS = 5, 60


def bench() -> None:
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler

    from finetune_portal.accounts.models import User
    from finetune_portal.connections import services as connections
    from finetune_portal.web.asgi_handler import ThreadPoolASGIHandler
    from finetune_portal.webhooks import services
    from tests.web_server import session_of

    ada = User.objects.create_user("ada@example.com", "not used here", name="Ada", role="admin")
    connections.built_in()
    hook = services.new_address(actor=ada).split("8000", 1)[1]
    session = f"{settings.SESSION_COOKIE_NAME}={session_of(ada)}"
    handlers = {"Django's": ASGIHandler(), "ours": ThreadPoolASGIHandler(BytesIO)}
    say(f"{'':<16}" + "".join(f"{name:>14}" for name in handlers))
    for name, method, path in (
        ("/healthz", "GET", "/healthz"),
        ("the form", "GET", "/jobs/new/"),
        ("the table", "GET", "/"),
        ("a webhook", "POST", hook),
    ):
        took: dict[str, list[float]] = {each: [] for each in handlers}
        for _ in range(ROUNDS):
            for each, handler in handlers.items():
                took[each].append(asyncio.run(measure(handler, method, path, session)))
        say(f"{name:<16}" + "".join(f"{statistics.median(times):>11.2f} ms" for times in took.values()))


async def measure(handler: Any, method: str, path: str, session: str) -> float:
    """CPU in ms for one answer."""
    await call(handler, method, path, session)
    began = time.process_time()
    for _ in range(CALLS):
        await call(handler, method, path, session)
    return (time.process_time() - began) / CALLS * 1000


async def call(handler: Any, method: str, path: str, session: str) -> None:
    body = b'{"finetune_id": "any", "status": "AVAILABLE"}' if method == "POST" else b""
    headers_by_name = {"host": "127.0.0.1", "cookie": session, "content-length": str(len(body))}
    headers = [(name.encode(), value.encode()) for name, value in headers_by_name.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    messages = [{"type": "http.request", "body": body}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", 200) == 200, (path, message)

    await handler({**scope, "scheme": "http", "client": ("127.0.0.1", 1)}, receive, send)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    with portal():
        bench()
