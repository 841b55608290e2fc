"""Large files are sent block by block, as fast as the browser takes them, and never held whole."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from typing import Any

import pytest

from finetune_portal.web import asgi_handler
from finetune_portal.web.asgi_handler import ThreadPoolASGIHandler
from finetune_portal.web.downloads import BlockResponse


class Browser:
    """Takes what is sent; leaves after `leaves_after` messages, or stops reading after `stops_after`."""

    def __init__(self, *, leaves_after: int = 10**9, stops_after: int = 10**9) -> None:
        self.taken: list[dict[str, Any]] = []
        self.leaves_after, self.stops_after = leaves_after, stops_after
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if len(self.taken) >= self.stops_after:
            await asyncio.Event().wait()
        self.taken.append(message)
        if len(self.taken) >= self.leaves_after:
            self.left.set()
            await asyncio.sleep(0)


class Blocks:
    """A hundred blocks of a mebibyte; counts those that were read ahead of the browser."""

    def __init__(self) -> None:
        self.read, self.is_closed = 0, False

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(100):
            self.read += 1
            yield bytes(1024 * 1024)

    def close(self) -> None:
        self.is_closed = True


def send(blocks: Blocks, **behaviour: int) -> Browser:
    async def sent() -> Browser:
        browser = Browser(**behaviour)
        response = BlockResponse(blocks)
        await ThreadPoolASGIHandler(io.BytesIO)._send_blocks(response, browser.receive, browser.send)
        return browser

    return asyncio.run(sent())


def test_all_of_it_is_sent_and_ends() -> None:
    blocks = Blocks()
    browser = send(blocks)
    assert sum(len(message.get("body", b"")) for message in browser.taken) == 100 * 1024 * 1024
    assert max(len(message.get("body", b"")) for message in browser.taken) == asgi_handler.SEND_BYTES
    assert [message.get("more_body", False) for message in browser.taken[-2:]] == [True, False]
    assert blocks.is_closed


def test_nothing_more_is_read_for_a_browser_that_left() -> None:
    blocks = Blocks()
    send(blocks, leaves_after=6)
    assert blocks.read == 2
    assert blocks.is_closed


def test_a_browser_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi_handler, "SEND_SECONDS", 0.1)
    blocks = Blocks()
    with pytest.raises(TimeoutError):
        send(blocks, stops_after=6)
    assert blocks.read == 2
    assert blocks.is_closed
