"""The live stream: GET /live/ as a raw ASGI endpoint, which holds no thread and no database connection.

One lookout in each web process notices commits and renders each change once; every viewer of this process
gets the same bytes. A viewer who reads too slowly is told to ask for the page instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass, field
from time import monotonic

from django.contrib.sessions.models import Session
from django.db import connections
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.jobs.live.changes import Lookout, News, event
from finetune_portal.web.asgi import (
    HEADERS,
    Receive,
    Scope,
    Send,
    headers_of,
    respond,
    run_in_thread,
    same_origin,
    session_key,
    signed_in_user,
)

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
BEAT_SECONDS = 5.0  # static/js/live-stream.js takes a stream for dead when it misses two
CHECK_SECONDS = 30.0  # how long a stream may outlive a new password or a role; a session ends it at once
CHECKS_A_LOOK = 5
WAITING = 64
STREAMS_EACH = 20
STREAM = {
    **HEADERS,
    "Content-Type": "text/event-stream; charset=utf-8",
    "X-Accel-Buffering": "no",
}


@dataclass(eq=False)
class Viewer:
    """One open stream. `waiting` is what was not sent yet."""

    user: User
    headers: dict[str, str]
    session: str = field(init=False)
    checked: float = field(default_factory=monotonic)
    waiting: deque[bytes] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    def __post_init__(self) -> None:
        self.session = session_key(self.headers)

    def tell(self, piece: bytes) -> None:
        if len(self.waiting) >= WAITING:
            self.waiting.clear()
            piece = event("stale")
        self.waiting.append(piece)
        self.wake.set()

    def end(self) -> None:
        self.ended = True
        self.wake.set()

    async def told(self) -> bytes:
        """All that waits, in one piece; empty at the end."""
        await self.wake.wait()
        self.wake.clear()
        piece = b"" if self.ended else b"".join(self.waiting)
        self.waiting.clear()
        return piece


class Hub:
    """The viewers of this process, and the one task that looks for all of them while there are any."""

    def __init__(self) -> None:
        self.viewers: set[Viewer] = set()
        self.is_serving: Callable[[], bool] = lambda: True
        self.lookout = Lookout()
        self.watch: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    async def join(self, viewer: Viewer) -> None:
        """From here on the viewer is told of every commit."""
        self.viewers.add(viewer)
        if self.watch is None:
            self.ready = asyncio.Event()
            self.watch = asyncio.create_task(self._watch(), context=Context())  # nobody's request
        await self.ready.wait()

    def is_full_for(self, user: User) -> bool:
        return sum(viewer.user.pk == user.pk for viewer in self.viewers) >= STREAMS_EACH

    async def _watch(self) -> None:
        loop, beaten = asyncio.get_running_loop(), 0.0
        self.lookout = lookout = Lookout()
        with ThreadPoolExecutor(1, "live") as thread:
            while self.viewers and self.is_serving():
                try:
                    seen = lookout.version
                    news = await loop.run_in_executor(thread, lookout.look)
                    gone = await loop.run_in_executor(thread, signed_out, self._due())
                    if lookout.version != seen:
                        gone += await loop.run_in_executor(thread, cut_off, list(self.viewers))
                except Exception:  # the database went away: no beat, so the pages fall back
                    logger.exception("The live table cannot look for changes.")
                    await loop.run_in_executor(thread, connections.close_all)
                    await asyncio.sleep(1)
                    continue
                if self.ready.is_set():
                    self._tell(news)
                self.ready.set()
                for viewer in gone:
                    viewer.end()
                if monotonic() - beaten > BEAT_SECONDS:
                    beaten = monotonic()
                    self._tell([News(lookout.beat())])
                await asyncio.sleep(LOOK_SECONDS)
            self.watch = None
            for viewer in self.viewers:
                viewer.end()
            self.ready.set()
            await loop.run_in_executor(thread, connections.close_all)

    def _tell(self, news: list[News]) -> None:
        if not news:
            return
        same = b"" if any(each.differs for each in news) else b"".join(each.plain for each in news)
        for viewer in self.viewers:
            viewer.tell(same or b"".join(each.told_to(viewer.user) for each in news))

    def _due(self) -> list[Viewer]:
        latest = monotonic() - CHECK_SECONDS
        due = [viewer for viewer in self.viewers if viewer.checked < latest]
        return due[:CHECKS_A_LOOK]


hub = Hub()


async def live(scope: Scope, receive: Receive, send: Send) -> None:
    headers = headers_of(scope)
    if not same_origin(headers):
        await respond(send, 403, text="The live stream is for the portal's own pages.")
        return
    user = await run_in_thread(signed_in_user, headers)
    if user is None:
        await respond(send, 401, text="Sign in again.")
    elif hub.is_full_for(user):
        await respond(send, 429, text="Too many of your pages are open; this one asks every few seconds.")
    else:
        hub.is_serving = scope.get("state", {}).get("is_serving", hub.is_serving)
        await _stream(Viewer(user, headers), receive, send)


async def _stream(viewer: Viewer, receive: Receive, send: Send) -> None:
    leaving = asyncio.create_task(_until_gone(receive))
    leaving.add_done_callback(lambda _: viewer.end())
    try:
        await hub.join(viewer)
        headers = [(name.lower().encode(), value.encode()) for name, value in STREAM.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        piece = event("hello") + hub.lookout.beat()
        while piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await viewer.told()
        await send({"type": "http.response.body"})
    finally:
        hub.viewers.discard(viewer)
        leaving.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def cut_off(viewers: list[Viewer]) -> list[Viewer]:
    """Those whose session was ended by that commit: signed out or switched off. One question for all."""
    keys = {viewer.session for viewer in viewers}
    alive = Session.objects.filter(session_key__in=keys, expire_date__gt=now())
    there = set(alive.values_list("session_key", flat=True))
    return [viewer for viewer in viewers if viewer.session not in there]


def signed_out(viewers: list[Viewer]) -> list[Viewer]:
    """Those whose session has ended meanwhile; the others' rights are brought up to date."""
    gone = []
    for viewer in viewers:
        viewer.checked = monotonic()
        user = signed_in_user(viewer.headers)
        if user is None:
            gone.append(viewer)
        else:
            viewer.user = user
    return gone
