"""Responses that are waited for: the end, the time, a client that leaves, a process that stops."""

from __future__ import annotations

import asyncio
from typing import Any

from django.http import HttpResponse

from finetune_portal.web.awaited import AwaitedResponse, wait_for


def response(wait: Any, seconds: float = 60) -> AwaitedResponse:
    def respond() -> HttpResponse:
        return HttpResponse("the picture", content_type="image/png", headers={"x-cost": "1"})

    return AwaitedResponse({"status": "QUEUED"}, wait=wait, respond=respond, seconds=seconds, status=202)


async def ended() -> None:
    """Work that has ended."""


async def never() -> Any:
    await asyncio.Event().wait()


async def leaves() -> dict[str, str]:
    return {"type": "http.disconnect"}


def waited(response: AwaitedResponse, receive: Any = never, **state: Any) -> bool:
    async def wait() -> bool:
        async with asyncio.timeout(20):
            return await wait_for(response, {"state": state}, receive)

    return asyncio.run(wait())


def test_it_ends_with_the_work_and_becomes_its_response() -> None:
    begun = response(ended)
    begun.headers["X-Request-ID"] = "an-id"
    assert waited(begun)
    begun.take_over()
    assert (begun.status_code, begun.content) == (200, b"the picture")
    assert begun.headers["Content-Length"] == "11"
    assert (begun.headers["Content-Type"], begun.headers["x-cost"]) == ("image/png", "1")
    assert begun.headers["X-Request-ID"] == "an-id"


def test_it_waits_no_longer_than_it_may() -> None:
    assert waited(response(never, seconds=0.01))


def test_it_ends_with_the_process() -> None:
    assert waited(response(never), is_serving=lambda: False)


def test_a_client_that_leaves_is_answered_nothing() -> None:
    assert not waited(response(never), leaves)


def test_an_error_of_the_work_ends_the_wait() -> None:
    async def fails() -> None:
        raise OSError

    assert waited(response(fails))
