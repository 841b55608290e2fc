"""The live stream: GET /live/ as a raw ASGI endpoint, which holds no thread and no database connection.

One ChangeWatcher in each web process renders each change once, and every viewer of the process gets the same
bytes. A viewer who reads too slowly gets `stale` and fetches the page instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass, field
from time import monotonic

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connections
from django.urls import set_script_prefix
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.jobs.live.changes import ChangeWatcher, StreamEvent, event
from finetune_portal.jobs.table.query import group_counts
from finetune_portal.projects import access as projects
from finetune_portal.web.asgi import (
    HEADERS,
    Receive,
    Scope,
    Send,
    headers_of,
    respond,
    run_in_thread,
    same_origin,
    session_of,
    signed_in_user,
)

logger = logging.getLogger(__name__)

CHECK_DATABASE_SECONDS = 0.1
BEAT_SECONDS = 5.0  # static/js/live-stream.js takes a stream for dead when it misses two
CHECK_SECONDS = 30.0  # until a stream ends after a new password or role; an ended session ends it at once
VIEWERS_AT_ONCE = 5  # whose rights are checked
MAX_PENDING = 64
STREAMS_PER_PERSON = 20
STREAM = {
    **HEADERS,
    "Content-Type": "text/event-stream; charset=utf-8",
    "X-Accel-Buffering": "no",
}


@dataclass(eq=False)
class Viewer:
    """One open stream. `pending` is not sent yet, `hidden` are the private projects of others.

    They are None until they were asked for, and until then no row is sent.
    """

    user: User
    headers: dict[str, str]
    session: str = field(init=False)
    hidden: frozenset[int] | None = None
    checked: float = field(default_factory=monotonic)
    pending: deque[bytes] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    is_ended: bool = False

    def __post_init__(self) -> None:
        self.session = session_of(self.headers).session_key or ""

    def send(self, content: bytes) -> None:
        if len(self.pending) >= MAX_PENDING:
            self.pending.clear()
            content = event("stale")
        self.pending.append(content)
        self.wake.set()

    def end(self) -> None:
        self.is_ended = True
        self.wake.set()

    async def next_content(self) -> bytes:
        """Wait for content and return all that is pending; empty at the end."""
        await self.wake.wait()
        self.wake.clear()
        content = b"" if self.is_ended else b"".join(self.pending)
        self.pending.clear()
        return content


class Hub:
    """The viewers of this process, and the one task that watches for changes while there are any."""

    def __init__(self) -> None:
        self.viewers: set[Viewer] = set()
        self.is_serving: Callable[[], bool] = lambda: True
        self.watcher = ChangeWatcher()
        self.task: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    async def join(self, viewer: Viewer) -> None:
        """Send the viewer every commit from here on."""
        self.viewers.add(viewer)
        if self.task is None:
            self.ready = asyncio.Event()
            self.task = asyncio.create_task(self._watch(), context=Context())  # outside any request
        await self.ready.wait()

    def is_full_for(self, user: User) -> bool:
        return sum(viewer.user.pk == user.pk for viewer in self.viewers) >= STREAMS_PER_PERSON

    async def _watch(self) -> None:
        loop, beat_at = asyncio.get_running_loop(), 0.0
        self.watcher = watcher = ChangeWatcher()
        prefix = f"{settings.FORCE_SCRIPT_NAME or ''}/"  # of the URLs in rows; a thread has its own
        with ThreadPoolExecutor(1, "live", set_script_prefix, (prefix,)) as thread:
            while self.viewers and self.is_serving():
                try:
                    await self._look(thread)
                except Exception:  # the database went away: no beat, so the pages fall back
                    logger.exception("The live stream cannot read changes from the database.")
                    await loop.run_in_executor(thread, connections.close_all)
                    await asyncio.sleep(1)
                    continue
                if monotonic() - beat_at > BEAT_SECONDS:
                    beat_at = monotonic()
                    self._send([StreamEvent(watcher.beat())])
                await asyncio.sleep(CHECK_DATABASE_SECONDS)
            self.task = None
            for viewer in self.viewers:
                viewer.end()
            self.ready.set()
            await loop.run_in_executor(thread, connections.close_all)

    async def _look(self, thread: Executor) -> None:
        """Check the database once: send what changed, and end the streams of those who signed out."""
        loop, watcher = asyncio.get_running_loop(), self.watcher
        version = watcher.version
        events = await loop.run_in_executor(thread, watcher.check)
        gone = await loop.run_in_executor(thread, signed_out, self._viewers_to_check())
        if watcher.version != version:
            gone += await loop.run_in_executor(thread, cut_off, list(self.viewers))
        await self._read_rights(thread, changed=watcher.version != version)
        counts = await self._counts(thread) if watcher.take_count() else {}
        if self.ready.is_set():
            self._send(events)
            for viewer in self.viewers:
                if viewer.hidden in counts:
                    viewer.send(counts[viewer.hidden])
        self.ready.set()
        for viewer in gone:
            viewer.end()

    def _send(self, events: list[StreamEvent]) -> None:
        for viewer in self.viewers if events else ():
            hidden = viewer.hidden
            if hidden is None and any(each.job for each in events):
                viewer.send(event("stale"))
            elif content := b"".join(each.for_user(viewer.user, hidden or frozenset()) for each in events):
                viewer.send(content)

    async def _read_rights(self, thread: Executor, *, changed: bool) -> None:
        """Read what viewers may see: of those who just came, and of all after a commit."""
        asked = [viewer for viewer in self.viewers if changed or viewer.hidden is None]
        if asked:
            await asyncio.get_running_loop().run_in_executor(thread, read_rights, asked)

    async def _counts(self, thread: Executor) -> dict[frozenset[int] | None, bytes]:
        """The numbers of jobs in the tabs, once for all viewers who see the same."""
        alike = {viewer.hidden: viewer.user for viewer in self.viewers if viewer.hidden is not None}
        return await asyncio.get_running_loop().run_in_executor(thread, counts_for, alike)

    def _viewers_to_check(self) -> list[Viewer]:
        latest = monotonic() - CHECK_SECONDS
        due = [viewer for viewer in self.viewers if viewer.checked < latest]
        return due[:VIEWERS_AT_ONCE]


hub = Hub()


async def live(scope: Scope, receive: Receive, send: Send) -> None:
    headers = headers_of(scope)
    if not same_origin(headers):
        await respond(send, 403, text="The live stream is only for the portal's own pages.")
        return
    user = await run_in_thread(signed_in_user, headers)
    if user is None:
        await respond(send, 401, text="Sign in again.")
    elif hub.is_full_for(user):
        await respond(send, 429, text="You have too many pages open; this one polls instead.")
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
        content = event("hello") + hub.watcher.beat()
        while content:
            await send({"type": "http.response.body", "body": content, "more_body": True})
            content = await viewer.next_content()
        await send({"type": "http.response.body"})
    finally:
        hub.viewers.discard(viewer)
        leaving.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def read_rights(viewers: list[Viewer]) -> None:
    """Read the roles of these viewers, and which private projects they may not see."""
    people = User.objects.in_bulk({viewer.user.pk for viewer in viewers})
    hidden = projects.hidden_from(list(people.values()))
    for viewer in viewers:
        viewer.user = people.get(viewer.user.pk, viewer.user)
        viewer.hidden = hidden.get(viewer.user.pk)


def counts_for(people: dict[frozenset[int], User]) -> dict[frozenset[int] | None, bytes]:
    return {hidden: event("counts", **group_counts(user)) for hidden, user in people.items()}


def cut_off(viewers: list[Viewer]) -> list[Viewer]:
    """Return the viewers whose session a commit ended: signed out or deactivated. One query for all."""
    keys = {viewer.session for viewer in viewers}
    alive = Session.objects.filter(session_key__in=keys, expire_date__gt=now())
    alive_keys = set(alive.values_list("session_key", flat=True))
    return [viewer for viewer in viewers if viewer.session not in alive_keys]


def signed_out(viewers: list[Viewer]) -> list[Viewer]:
    """Return the viewers whose session has ended, and update the rights of the others."""
    gone = []
    for viewer in viewers:
        viewer.checked = monotonic()
        user = signed_in_user(viewer.headers)
        if user is None:
            gone.append(viewer)
        else:
            viewer.user = user
    return gone
