"""The port of the fake: plain HTTP, TLS by the first byte, and the tunnels of a proxy, which end here."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.provider import server
from tests.provider.exchange import Answer, Request

if TYPE_CHECKING:
    from tests.fal.server import FakeFal

HANDSHAKE = b"\x16"  # the first byte of a TLS connection


def tls_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


class Handler(server.Handler):
    @property
    def fal(self) -> FakeFal:
        fal: Any = self.server.provider
        return fal

    def setup(self) -> None:
        self.scheme = "http"
        if self.fal.tls and self.request.recv(1, socket.MSG_PEEK) == HANDSHAKE:
            self._wrap()
        super().setup()

    def _wrap(self) -> None:
        assert self.fal.tls
        try:
            self.request = self.fal.tls.wrap_socket(self.request, server_side=True)
        except (ssl.SSLError, OSError) as exc:  # a client that does not trust the certificate
            raise ConnectionError("no handshake") from exc
        self.server.accepted.append(self.request)
        self.scheme = "https"

    def finish(self) -> None:
        super().finish()
        if self.scheme == "https":
            self.request.close()  # the server only knows the socket below it

    def do_CONNECT(self) -> None:
        """Open the tunnel, and be whatever host lies behind it."""
        self.fal.tunnels.append(self.path)
        self.send_response_only(200)
        self.end_headers()
        self.wfile.flush()
        self._wrap()
        super().setup()
        self.close_connection = False

    def receive(self, headers: Mapping[str, str], body: bytes) -> tuple[Answer, bytes]:
        parts = urlsplit(self.path)
        raw = Request(self.command, parts.path, parts.query, headers, body, self.client_address[1])
        return self.fal.receive(raw, self.scheme)
