"""A small HTTP proxy in threads that does harm at a named point of one exchange, then is honest again.

It takes in a request, passes it on, takes in the answer, and delivers it; in between lie the points.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

POINTS = ("sending", "taken", "status", "half", "whole")
CUTS = ("reset", "close", "hang", "kill")
LATENCY = 0.1


@dataclass(frozen=True)
class Fault:
    """What happens once to the next exchange of this call.

    The cuts happen at a point: while the request is being sent, when the provider has taken it, after the
    status line, in the middle of the answer, after all of it. The others spoil the answer: `late`, `slow`,
    `freeze` (it comes while the worker is stopped), `flip` (one byte, at this share of the answer),
    `flip-request` (one of the body), `garbage`.
    """

    call: str
    action: str
    point: str = "whole"
    share: float = 0.9

    def __str__(self) -> str:
        where = f"{self.share:.0%}" if self.action.startswith("flip") else self.point
        return f"{self.call} {self.action} {where}"


class ClosedError(Exception):
    """One of the two ends has hung up."""


class Proxy:
    """On its own port; `down()` refuses connections until `up()`. `kill` and `freeze` act on the worker."""

    def __init__(self, provider_url: str, call_of: Callable[[str, str], str]) -> None:
        """`call_of`: the name of a call by its method and the address that the request names."""
        self._call_of = call_of
        self._target = (str(urlsplit(provider_url).hostname), int(urlsplit(provider_url).port or 80))
        self.kill: Callable[[], None] = lambda: None
        self.freeze: Callable[[], None] = lambda: None
        self.fault: Fault | None = None
        self.hang_seconds = 1.0  # longer than the client waits
        self._port = 0
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *exc: object) -> None:
        self.down()

    def up(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self._port), backlog=64)
            self._port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def down(self) -> None:
        if self._listener:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError, ClosedError), socket.create_connection(self._target) as provider:
            for end in (client, provider):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                self._exchange(client, provider)

    def _exchange(self, client: socket.socket, provider: socket.socket) -> None:
        head = _head(client)
        method, address, _ = head.decode("latin-1").split(" ", 2)
        fault = self._due(self._call_of(method, address))
        length = _length(head)
        if fault and fault.point == "sending":
            _exactly(client, length // 2)
            self._cut(client, fault)
        body = _exactly(client, length)
        if fault and fault.action == "flip-request":
            body = _flipped(body, fault.share)
        provider.sendall(head + body)
        answer_head = _head(provider)
        answer = answer_head + _exactly(provider, _length(answer_head))
        if fault is None:
            client.sendall(answer)
        else:
            self._spoil(client, fault, answer, len(answer_head))

    def _due(self, call: str) -> Fault | None:
        with self._lock:
            if self.fault is None or self.fault.call != call:
                return None
            fault, self.fault = self.fault, None
            return fault

    def _spoil(self, client: socket.socket, fault: Fault, answer: bytes, head: int) -> None:
        if fault.action in CUTS:
            ends = {"taken": 0, "status": 12, "half": (head + len(answer)) // 2, "whole": len(answer)}
            client.sendall(answer[: ends[fault.point]])
            self._cut(client, fault)
        elif fault.action == "freeze":
            self.freeze()
            client.sendall(answer)
        elif fault.action == "late":
            time.sleep(LATENCY)
            client.sendall(answer)
        elif fault.action == "slow":
            for at in range(0, len(answer), 16):
                client.sendall(answer[at : at + 16])
                time.sleep(0.005)
        elif fault.action == "flip":
            client.sendall(_flipped(answer, fault.share))
        elif fault.action == "garbage":
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 13\r\n\r\n<html>no</p>\n")
        else:
            client.sendall(answer)

    def _cut(self, client: socket.socket, fault: Fault) -> None:
        if fault.action == "kill":
            self.kill()
        elif fault.action == "hang":
            client.settimeout(self.hang_seconds)
            with suppress(TimeoutError):
                while client.recv(1 << 16):  # what is still being sent
                    pass
        elif fault.action == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ClosedError


def _head(end: socket.socket) -> bytes:
    """Up to and with the empty line, and not a byte of what follows."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        more = end.recv(1 << 16, socket.MSG_PEEK)
        if not more:
            raise ClosedError
        size = (seen + more).find(b"\r\n\r\n")
        seen += _exactly(end, len(more) if size < 0 else size + 4 - len(seen))
    return seen


def _exactly(end: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        block = end.recv(min(size - len(content), 1 << 16))
        if not block:
            raise ClosedError
        content += block
    return bytes(content)


def _length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next((int(value) for name, _, value in lines if name == b"content-length"), 0)


def _flipped(content: bytes, share: float) -> bytes:
    at = min(int(len(content) * share), len(content) - 1)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
