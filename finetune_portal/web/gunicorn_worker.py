"""gunicorn's ASGI worker with limits: how many connections are open, and how long a client may take.

By itself it has none: who sends half a request holds a connection for good, until files run out and every
page waits. Here a client has a deadline whenever the worker waits for it. When too many are connected, the
one that has waited longest makes room, so strangers who hold many connections only hurt each other. A request
that is being answered, such as the live stream, is never cut off for others.

The classes override parts of gunicorn 27 that are not public; tests/web/test_gunicorn_worker.py pins them.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from collections.abc import Collection
from ipaddress import ip_address
from queue import SimpleQueue
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol, _check_trusted_proxy
from gunicorn.workers.gasgi import ASGIWorker

HEADER_SECONDS, HEADER_BYTES = 10.0, 64 * 1024  # of a request's head, all headers together
BODY_SECONDS, LEAST_SPEED = 30.0, 1024  # seconds without a byte; bytes a second, on the average
READ_SECONDS = 30.0  # for a response to be read, beside the time that its bytes have at LEAST_SPEED
LINGER_SECONDS = 5.0  # for a refused client to read why, while the rest of its body is dropped
UNKNOWN_BYTES = 64 * 1024  # of a body; beyond these the application reads on for known senders only
READ_BYTES = 64 * 1024  # at a time, and the most that waits for the application
KNOWN_READ_BYTES = 256 * 1024  # of a known sender: gunicorn's own figure, at half the CPU for an upload
HELD_EACH = 2 * READ_BYTES  # bytes of one request that can be in memory; more of a body is on disk, or waits
HELD_BYTES = 32 * 1024 * 1024  # of all requests of this process
SHARE_OF_ADDRESS = 1 / 4  # of all connections
CHECK_SECONDS = 1.0  # between two looks for clients that are late
IDLE_SECONDS = 0.1  # between two looks for idle connections, while the worker stops
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Connection(ASGIProtocol):  # type: ignore[misc]  # gunicorn has no types
    """One connection. `until` is the monotonic time at which its client is late; 0 while the portal works."""

    _task: asyncio.Task[None] | None
    _closed: bool

    def __init__(self, worker: LimitedWorker) -> None:
        super().__init__(worker)
        self.connections = worker.connections
        self.until = 0.0
        self.address = b""
        self.held = 0  # bytes of the request that came, up to HELD_EACH
        self._body_bytes = 0
        self._is_refused = False

    @property
    def is_lingering(self) -> bool:
        return self._closed and self._is_refused

    @property
    def is_writing(self) -> bool:
        return bool(self.transport.get_write_buffer_size())

    @property
    def is_idle(self) -> bool:
        """Whether no request is complete up to its headers, or the last response is sent or given up."""
        return self._closed or self._current_request is None

    @property
    def awaits_body(self) -> bool:
        return self._body_receiver is not None and not self._body_receiver._complete  # noqa: SLF001

    @property
    def is_waiting(self) -> bool:
        return self.is_idle or (self.awaits_body and self.is_unknown)

    @property
    def is_unknown(self) -> bool:
        """Whether the application has not yet shown that it knows the sender of this body."""
        buffered = self._body_receiver.buffered if self._body_receiver else 0
        return bool(self._body_bytes - buffered <= UNKNOWN_BYTES)

    def connection_made(self, transport: Any) -> None:
        self._give_time(HEADER_SECONDS)
        super().connection_made(transport)
        self._read_at_a_time(READ_BYTES)
        self.address = _address(self.cfg, transport.get_extra_info("peername"))
        self.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        if self._current_request is None and self._task and not self._finishing_calls:
            self._task.cancel()  # at once, as nothing runs that would need the seconds that gunicorn gives
            self._task = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self.connections.hold(self, min(self.held + len(data), HELD_EACH))
        try:
            super().data_received(data)
        except ValueError:  # a Content-Length of thousands of digits
            self.refuse(400, "Bad Request")
        if self.is_idle and self.held > HEADER_BYTES:
            self.refuse(431, "The headers are too large.")
        if self._max_buffer_size == READ_BYTES and not self.is_unknown:
            self._read_at_a_time(KNOWN_READ_BYTES)
        if self.awaits_body and self.until:
            self.until = min(self.until + len(data) / LEAST_SPEED, time.monotonic() + BODY_SECONDS)

    def _on_headers_complete(self) -> Any:
        self.connections.touch(self)
        self._body_bytes = 0
        self._give_time(BODY_SECONDS)
        return super()._on_headers_complete()

    def _on_body(self, chunk: bytes) -> None:
        self._body_bytes += len(chunk)
        super()._on_body(chunk)

    def _on_message_complete(self) -> None:
        self.until = 0.0
        super()._on_message_complete()

    async def _serve_http_request(self, request: Any, sockname: Any, peername: Any) -> bool:
        try:
            return bool(await super()._serve_http_request(request, sockname, peername))
        finally:
            self.connections.hold(self, 0)
            self.connections.touch(self)
            self._read_at_a_time(READ_BYTES)

    def pause_writing(self) -> None:
        self._give_time(self._reading_seconds())
        super().pause_writing()

    def resume_writing(self) -> None:
        if not self._closed:
            self.until = time.monotonic() + BODY_SECONDS if self.awaits_body else 0.0
        super().resume_writing()

    def _close_transport(self) -> None:
        if self._closed:
            return
        self._is_refused = self.awaits_body
        if not self._is_refused:
            self._give_time(self._reading_seconds())
            super()._close_transport()
            self.transport.close()  # gunicorn leaves it open when the client has gone
            return
        # Closing now would reset the connection, and the client might lose the response over that.
        self._closed = True
        self._give_time(LINGER_SECONDS)
        self._body_receiver._chunks.clear()  # noqa: SLF001
        self._resume_reading()
        try:
            if self.transport.can_write_eof():
                self.transport.write_eof()
        except OSError:  # the client has gone
            self.cut()

    def check(self, now: float) -> None:
        """Refuse a client that is late. Nobody is late while the application does not read."""
        if self.awaits_body and self._reading_paused and not self._closed:
            self._give_time(BODY_SECONDS)
        if not self.until or now < self.until:
            return
        if self._closed or self._flow_control.write_paused or not self.held:
            self.cut()
        else:
            self.refuse(408, "The request took too long.")

    def refuse(self, status: int, sentence: str) -> None:
        if not self._closed:
            self._send_error_response(status, sentence)
            self._close_transport()
            if self._body_receiver is not None:
                self._body_receiver.signal_disconnect()

    def cut(self) -> None:
        self.connections.discard(self)
        self.transport.abort()

    def _read_at_a_time(self, size: int) -> None:
        self._max_buffer_size = self.transport.max_size = size

    def _give_time(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds

    def _reading_seconds(self) -> float:
        return READ_SECONDS + int(self.transport.get_write_buffer_size()) / LEAST_SPEED


class Connections:
    """All connections of this process, the one that went on last at the end, and the memory they hold.

    `most` is how many there may be. Where an address is not that of a proxy, it has a share of them.
    """

    def __init__(self, most: int) -> None:
        self.most, self.most_of_address = most, max(1, int(most * SHARE_OF_ADDRESS))
        self.held = 0
        self.made_room = 0  # how often, since the last call of `check`
        self._open: dict[Connection, None] = {}
        self._of_address: dict[bytes, dict[Connection, None]] = {}

    def add(self, new: Connection) -> None:
        same = self._of_address.setdefault(new.address, {})
        self._open[new] = same[new] = None
        if new.address and len(same) > self.most_of_address:
            self._make_room(new, same)
        elif len(self._open) > self.most:
            self._make_room(new, self._open)

    def discard(self, connection: Connection) -> None:
        if connection not in self._open:
            return
        self.hold(connection, 0)
        del self._open[connection]
        same = self._of_address[connection.address]
        del same[connection]
        if not same:
            del self._of_address[connection.address]

    def touch(self, connection: Connection) -> None:
        """Put a connection that went on behind those that wait."""
        if connection in self._open:
            same = self._of_address[connection.address]
            del self._open[connection], same[connection]
            self._open[connection] = same[connection] = None

    def hold(self, connection: Connection, held: int) -> None:
        """Count the memory that a request holds, and make room where all of them hold too much."""
        if connection not in self._open:
            return
        grows = held > connection.held
        self.held += held - connection.held
        connection.held = held
        if grows and self.held > HELD_BYTES and connection.is_unknown:
            self._make_room(connection, [each for each in self._open if each.held])

    def check(self) -> int:
        """Refuse the clients that are late. Return how many connections made room since the last call."""
        now = time.monotonic()
        for connection in list(self._open):
            connection.check(now)
        made_room, self.made_room = self.made_room, 0
        return made_room

    def cut_idle(self) -> None:
        """Cut all that send no request, so that a worker which stops waits for answers only."""
        for connection in list(self._open):
            if connection.is_idle and not (connection.is_writing or connection.is_lingering):
                connection.cut()

    def _make_room(self, new: Connection, among: Collection[Connection]) -> None:
        """Cut the one that has waited longest; `new` where none waits."""
        self.made_room += 1
        next((each for each in among if each.is_waiting and each is not new), new).cut()


class LimitedWorker(ASGIWorker):  # type: ignore[misc]  # gunicorn has no types
    """Without the lifespan protocol, which Django does not speak.

    `inherited_signals` is the queue of the process that forked this one. Its handlers are in force here until
    `init_signals`, so a signal to stop that comes before is found there, and nowhere else.
    """

    connections: Connections
    inherited_signals: SimpleQueue[int]

    def init_signals(self) -> None:
        super().init_signals()
        while not self.inherited_signals.empty():
            if self.inherited_signals.get() in STOP_SIGNALS:
                self.alive = False

    async def _serve(self) -> None:
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.connections = Connections(min(self.cfg.worker_connections, files // 2))
        tls = self._get_ssl_context()
        for listener in self.sockets:
            server = await self.loop.create_server(lambda: Connection(self), sock=listener.sock, ssl=tls)
            self.servers.append(server)
            listener.sock.listen(self.cfg.backlog)  # asyncio has made it 100
        while self.alive and self.ppid == os.getppid():
            self.notify()
            if made_room := self.connections.check():
                self.log.warning("Connections closed to make room for others: %s.", made_room)
            await asyncio.sleep(CHECK_SECONDS)
        cutting = asyncio.create_task(self._cut_idle())
        await self._shutdown()
        cutting.cancel()

    async def _cut_idle(self) -> None:
        """Cut what is idle, again and again: a connection becomes so when its last response is read."""
        while True:
            self.connections.cut_idle()
            await asyncio.sleep(IDLE_SECONDS)


def _address(cfg: Any, peer: Any) -> bytes:
    """Return what counts as one address: an IPv4 address, or a /64 of IPv6. Empty for a proxy."""
    if not isinstance(peer, tuple):
        return b""
    if _check_trusted_proxy(peer, cfg.forwarded_allow_ips, cfg.forwarded_allow_networks()):
        return b""
    address = ip_address(peer[0].partition("%")[0])
    if address.version == 6 and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.packed[:8]
