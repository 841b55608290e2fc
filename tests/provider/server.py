"""The fake provider's HTTP, down to the connections that it breaks."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.provider.exchange import Answer, Request

if TYPE_CHECKING:
    from tests.provider.hosted import Hosted

SLOW_PARTS, SLOW_SECONDS = 20, 0.15


class Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for them
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        provider: Hosted,
        handler: type[BaseHTTPRequestHandler] | None = None,
    ) -> None:
        self.provider = provider
        self.accepted: list[socket.socket] = []
        super().__init__(address, handler or Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.accepted.append(connection)
        return connection, address

    def hang_up(self) -> None:
        for connection in self.accepted:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        exc = sys.exception()
        if exc and not isinstance(exc, ConnectionError):
            self.provider.troubles.append(exc)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # the client left; nothing was asked for
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        provider = self.server.provider
        answer, right = self.receive(headers, body)
        provider.stopping.wait(answer.delay)
        self._deliver(answer, right if answer.body is None else answer.body)

    do_GET = do_PUT = do_POST = do_DELETE = handle_any

    def receive(self, headers: Mapping[str, str], body: bytes) -> tuple[Answer, bytes]:
        parts = urlsplit(self.path)
        request = Request(self.command, parts.path, parts.query, headers, body, self.client_address[1])
        answer: tuple[Answer, bytes] = self.server.provider.receive(request)
        return answer

    def _deliver(self, answer: Answer, body: bytes) -> None:
        if answer.ending == "whole":
            self._head(answer, {"Content-Length": str(len(body))})
            self.wfile.write(body)
            return
        self.close_connection = True
        if answer.ending == "hang":
            self.server.provider.stopping.wait()
        elif answer.ending == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif answer.ending == "half":
            self._head(answer, {"Content-Length": str(len(body))})
            self.wfile.write(body[: len(body) // 2])
        elif answer.ending == "raw":
            self.wfile.write(body)
        else:
            self._send_long(answer, body)

    def _send_long(self, answer: Answer, body: bytes) -> None:
        if answer.ending == "slow":
            self._head(answer, {"Content-Length": str(len(body))})
            step = len(body) // SLOW_PARTS + 1
            for at in range(0, len(body), step):
                self.wfile.write(body[at : at + step])
                if self.server.provider.stopping.wait(SLOW_SECONDS):
                    return
        elif answer.ending in ("endless", "drip"):
            self._head(answer, {})
            while not self.server.provider.stopping.wait(0.01 if answer.ending == "drip" else 0):
                self.wfile.write(body)

    def _head(self, answer: Answer, more: Mapping[str, str]) -> None:
        self.send_response_only(answer.status)
        for name, value in {"Content-Type": "application/json", **more, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass
