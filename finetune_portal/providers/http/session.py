"""The HTTP session of a provider: no environment, cookies or redirects, and a guard of hosts for files."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from finetune_portal.providers.http import url_checks

BLOCK = 1024 * 1024
# Connects to a host and port. Raises an OSError, or a CallError for a host that may not be called.
Dial = Callable[[str, int], socket.socket]


class Connection(HTTPConnection):
    dial: Dial | None = None

    def _new_conn(self) -> socket.socket:
        return self.dial(self.host, self.port or 80) if self.dial else super()._new_conn()

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, ValueError, HTTPError) as exc:
            raise _connect_error(self, exc) from exc


class SecureConnection(HTTPSConnection):
    dial: Dial | None = None

    def _new_conn(self) -> socket.socket:
        return self.dial(self.host, self.port or 443) if self.dial else super()._new_conn()

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, ValueError, HTTPError) as exc:
            raise _connect_error(self, exc) from exc


def _connect_error(connection: HTTPConnection, exc: Exception) -> ConnectTimeoutError:
    """What fails while connecting, a TLS handshake included, fails before any byte of the request is sent."""
    return exc if isinstance(exc, ConnectTimeoutError) else NewConnectionError(connection, type(exc).__name__)


class Pool(HTTPConnectionPool):
    ConnectionCls = Connection


class SecurePool(HTTPSConnectionPool):
    ConnectionCls = SecureConnection


class Adapter(HTTPAdapter):
    """Send a body in 1 MiB blocks; the default of 16 KiB is nine times slower. `dial`: see `Session`."""

    def __init__(self, base_url: str = "", dial: Dial | None = None) -> None:
        self._base_url, self._dial = base_url, dial
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, blocksize=BLOCK, **kwargs)
        makers = {"http": partial(self._pool, Pool), "https": partial(self._pool, SecurePool)}
        self.poolmanager.pool_classes_by_scheme = makers

    def _pool(self, kind: type[Pool | SecurePool], host: str, *args: Any, **kwargs: Any) -> Pool | SecurePool:
        """Make the pool of a host. Here is the name that will be called, however its URL was read before."""
        pool = kind(host, *args, **kwargs)
        if self._dial and not url_checks.is_own_host(host, self._base_url):
            dialing = type("Dialing", (kind.ConnectionCls,), {"dial": staticmethod(self._dial)})
            pool.ConnectionCls = cast(Any, dialing)
        return pool


class Session(requests.Session):
    """Ignore the environment, keep no cookie, and do not look where a redirect leads.

    With `dial` all hosts but the provider's own are connected by it.
    """

    def __init__(self, base_url: str = "", dial: Dial | None = None) -> None:
        super().__init__()
        self.trust_env = False  # no .netrc and no proxy of the environment
        self.headers["Accept-Encoding"] = "identity"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount("http://", Adapter(base_url, dial))
        self.mount("https://", Adapter(base_url, dial))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: otherwise requests reads the whole body and parses the URL, even if it may not follow."""
