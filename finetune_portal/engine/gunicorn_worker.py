"""gunicorn's threaded worker, in which no stranger holds a thread.

By itself it gives each connection a thread as soon as it is made, so 16 halves of a request hold all of them.
Here the main loop waits for the headers, and a thread gets what it can parse at once. It answers strangers
without waiting for them: no view reads a body before it has checked the key or the signature, and calls
`wait_for_client` then. The main loop also waits for the client to close its end, which gunicorn does in a
blocking call. When too many are connected, the one that has waited longest makes room.

The class overrides parts of gunicorn 27 that are not public; tests/engine/test_gunicorn_worker.py pins them.
"""

from __future__ import annotations

import signal
import socket
import time
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from selectors import EVENT_READ
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from gunicorn import util
from gunicorn.workers.gthread import TConn, ThreadWorker

HEADER_SECONDS, HEADER_BYTES = 10.0, 64 * 1024  # of a request's head, all headers together
END_OF_HEAD = b"\r\n\r\n"
STRANGER_SECONDS = 1.0  # for a stranger to read an answer that does not fit into the system's buffers
REST_SECONDS = 0.005  # for the rest of a body that no view has read; without it the connection is closed
IDLE_SECONDS = 60.0  # for one read from, or one whole write to, a client that has shown a key or a signature


def wait_for_client(request: HttpRequest) -> None:
    """Give the client of a request time to send its body and to read the answer: it is no stranger."""
    if isinstance(request, WSGIRequest) and "gunicorn.socket" in request.environ:
        request.environ["gunicorn.socket"].settimeout(IDLE_SECONDS)


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """`head_bytes` is how much of the head had come when the main loop looked last."""

    head_bytes = 0
    is_answered = False  # for good: what still comes is dropped until the client closes its end


class LimitedWorker(ThreadWorker):  # type: ignore[misc]
    """`inherited_signals` is the queue of the process that forked this one.

    Its handlers are in force here until `init_signals`, so a signal to stop that comes before is found there.

    `pending_conns` are the connections that wait for a head or for their end, the one that has waited longest
    first; gunicorn closes those that have waited for too long.
    """

    inherited_signals: SimpleQueue[int]

    def init_signals(self) -> None:
        super().init_signals()
        while not self.inherited_signals.empty():
            if self.inherited_signals.get() in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
                self.alive = False

    def accept(self, listener: Any) -> None:
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        self._wait(Connection(self.cfg, client, address, listener.getsockname()))
        if self.nr_conns >= self.worker_connections:
            self._make_room()

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Wait for the head of the next request on a connection that was kept alive."""
        if client.fileno() < 0:
            return  # it made room in this very round of the main loop
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._wait(conn)

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        if client.fileno() < 0:
            return  # it made room in this very round of the main loop
        try:
            self._read_head(conn, client)
        except BlockingIOError:
            pass
        except OSError:
            self._close(conn, self.pending_conns)

    def _read_head(self, conn: Any, client: Any) -> None:
        if conn.is_answered:
            if not client.recv(HEADER_BYTES):
                self._close(conn, self.pending_conns)
            return
        head = client.recv(HEADER_BYTES, socket.MSG_PEEK)
        if END_OF_HEAD in head:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            super().on_pending_socket_readable(conn, client)
        elif len(head) == HEADER_BYTES:
            util.write_error(client, 431, "Request Header Fields Too Large", "")
            self._close(conn, self.pending_conns)
        elif len(head) <= conn.head_bytes:  # the client has closed its end, or sends crumbs
            self._close(conn, self.pending_conns)
        else:  # the poller reports the socket again when more of the head has come
            conn.head_bytes = len(head)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(head) + 1)

    def handle_request(self, req: Any, conn: Any) -> Any:
        conn.sock.settimeout(STRANGER_SECONDS)
        try:
            return super().handle_request(req, conn)
        except TimeoutError:  # the client does not read
            return False

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        """Keep a connection that has sent its request and no byte more."""
        is_read = keepalive and conn.parser.finish_body(deadline=time.monotonic() + REST_SECONDS)
        return bool(is_read and not conn.parser.unreader.buf.getvalue())

    def finish_request(self, conn: Any, fs: Any) -> None:
        if not fs.cancelled() and not fs.exception() and fs.result():
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.nr_conns -= 1
            conn.close()
        else:
            conn.is_answered = True
            self._wait(conn)

    def _wait(self, conn: Any) -> None:
        conn.head_bytes = 0
        conn.timeout = time.monotonic() + HEADER_SECONDS
        conn.sock.setblocking(False)
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _make_room(self) -> None:
        """Close a connection that is not being answered, of those that wait or those that are kept alive."""
        if most := max(self.pending_conns, self.keepalived_conns, key=len):
            self._close(most[0], most)

    def _close(self, conn: Any, among: Any) -> None:
        among.remove(conn)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()
