"""A proxy between browser and portal that can cut off the live stream, or swallow it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Proxy:
    """Relays to the portal. It can cut off the live stream, or swallow what that says."""

    def __init__(self, target: int) -> None:
        self.target, self.mode = target, "pass"
        self.live: list[socket.socket] = []
        self.carried = 0  # bytes from the portal to the browser
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        self.mode = "cut"
        for connection in self.live:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.server.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        swallows = threading.Event()
        with client, socket.create_connection(("127.0.0.1", self.target)) as server, suppress(OSError):
            threading.Thread(target=self._answer, args=(server, client, swallows), daemon=True).start()
            while data := client.recv(65536):
                if data.startswith(b"GET /live/"):
                    self.live.append(client)
                    if self.mode == "cut":
                        return
                    if self.mode == "swallow":
                        swallows.set()
                server.sendall(data)

    def _answer(self, server: socket.socket, client: socket.socket, swallows: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                self.carried += len(data)
                if not swallows.is_set():
                    client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
