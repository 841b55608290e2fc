"""Many viewers in one process: open streams, or people who ask for the table's piece. Knows no Django."""

from __future__ import annotations

import asyncio
import gc
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from tests.cookies import session_cookie

EVERY = 2.0
NAME = re.compile(rb"change (\d+)<")
STAMP = re.compile(rb'hx-get="(/jobs/table/[^"]*)"')
HELLO = b"event: hello"


@dataclass
class Viewer:
    """One of the many. `seen` holds, for each change, when it was first received."""

    port: int
    session: str
    seen: dict[int, float] = field(default_factory=dict)
    faults: int = 0

    def note(self, data: bytes) -> None:
        moment = time.monotonic()
        for number in NAME.findall(data):
            self.seen.setdefault(int(number), moment)

    def request(self, path: str) -> bytes:
        name = session_cookie(f"http://127.0.0.1:{self.port}")
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "HX-Request: true"]
        return "\r\n".join([*lines, f"Cookie: {name}={self.session}", "", ""]).encode()


class Stream(asyncio.Protocol):
    """An open stream; what comes in pieces is put together up to the last whole event."""

    def __init__(self, viewer: Viewer, opened: asyncio.Event) -> None:
        self.viewer, self.opened, self.rest, self.ends = viewer, opened, b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self.viewer.request("/live/"))

    def data_received(self, data: bytes) -> None:
        self.rest += data
        if not self.opened.is_set() and HELLO in self.rest:
            self.opened.set()
        whole, end, rest = self.rest.rpartition(b"\n\n")
        if end:
            self.rest = rest
            self.viewer.note(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        self.viewer.faults += not self.ends
        self.opened.set()


async def stream(viewer: Viewer, opened: asyncio.Event, until: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(
        lambda: Stream(viewer, opened), "127.0.0.1", viewer.port
    )
    await until.wait()
    protocol.ends = True
    transport.close()


async def poll(viewer: Viewer, opened: asyncio.Event, until: asyncio.Event) -> None:
    """Every 2 s, or as soon as the last answer came when that took longer."""
    path, streams = "/jobs/table/", None
    opened.set()
    while not until.is_set():
        began = time.monotonic()
        streams = streams or await asyncio.open_connection("127.0.0.1", viewer.port)
        try:
            body = await ask(viewer, path, *streams)
        except (asyncio.IncompleteReadError, ConnectionError):  # kept open for 2 s only, as browsers know
            streams = None
            continue
        if match := STAMP.search(body):
            path = match[1].decode().replace("&amp;", "&")
        await asyncio.sleep(max(0.0, EVERY - (time.monotonic() - began)))


async def ask(viewer: Viewer, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(viewer.request(path))
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    body = await reader.readexactly(int(length[1])) if length else b""
    viewer.faults += b" 200 " not in head[:15] and b" 204 " not in head[:15]
    viewer.note(body)
    return body


def watch(way: str, port: int, sessions: list[str], pipe: Connection) -> None:
    """The process of the viewers: says when all are there, ends when told, sends what each saw."""
    viewers = [Viewer(port, session) for session in sessions]
    gc.disable()
    asyncio.run(_watch({"stream": stream, "poll": poll}[way], viewers, pipe))
    pipe.send([(viewer.seen, viewer.faults) for viewer in viewers])


Way = Callable[[Viewer, asyncio.Event, asyncio.Event], Awaitable[None]]


async def _watch(way: Way, viewers: list[Viewer], pipe: Connection) -> None:
    until, tasks = asyncio.Event(), []
    for viewer in viewers:
        opened = asyncio.Event()
        tasks.append(asyncio.ensure_future(way(viewer, opened, until)))
        if way is stream:
            await opened.wait()
        else:
            await asyncio.sleep(EVERY / len(viewers))
    pipe.send("all are there")
    await asyncio.to_thread(pipe.recv)
    until.set()
    await asyncio.wait(tasks, timeout=30)
