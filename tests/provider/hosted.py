"""What the fakes of providers share: one port of this machine, which can be stopped and started again."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from tests.provider.server import Handler, Server


class Hosted:
    """A fake on one port. Its ledger and the port stay over a stop and a start.

    `receive` answers what arrives: an Answer, and the right body where it has none.
    """

    handler: type[BaseHTTPRequestHandler] = Handler

    def __init__(self) -> None:
        self.troubles: list[BaseException] = []
        self.stopping = threading.Event()
        self._server: Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def receive(self, *arrived: Any) -> Any:
        raise NotImplementedError

    def start(self) -> Self:
        self.stopping.clear()
        self._server = Server(("127.0.0.1", self._port), self, self.handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Refuse connections from now on, end those that are open, and wait for what is on its way."""
        if self._server:
            self.stopping.set()
            self._server.shutdown()
            self._server.hang_up()
            self._server.server_close()
            self._server = None
        self.join()
        assert not self.troubles, self.troubles

    def join(self) -> None:
        """Wait for threads of the fake's own."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()
