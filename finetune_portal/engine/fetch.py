"""The engine's only way out: HTTP calls to addresses that somebody typed.

A host name is resolved once. Every address it has must be public, or in a network that the operator listed,
and the connection goes to that very address, so the name cannot change its meaning in between.

It stands on http.client, not on requests: only there can a connection be opened by code of our own without
reaching into a library, and the engine stays a second, independent reading of the portal's guard
(web/outbound.py). It is the only module of the engine that imports an HTTP library; every other one asks it.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Allow = Sequence[Network] | None  # networks allowed beside the public ones; None trusts every address
Response = http.client.HTTPResponse

# The special ranges of IANA's two registries that are not for the whole internet, and multicast. The table is
# our own, as what Python calls global changes with its version. Of IPv6 only 2000::/3 is for everybody.
_SPECIAL = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        *("::/3", "4000::/2", "8000::/1"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
MAX_REDIRECTS = 3


class FetchError(Exception):
    """Says why there is no response, in a sentence without the address."""


def is_allowed(address: str, allow: Allow) -> bool:
    if allow is None:
        return True
    ip: Address = ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if any(ip in network for network in allow):
        return True
    return not any(ip in network for network in _SPECIAL)


def connect(host: str, port: int, timeout: float, allow: Allow) -> socket.socket:
    """Connect to `host`, but only if all of its addresses are allowed."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchError("The host name was not found.") from None
    addresses = [str(entry[4][0]) for entry in entries]
    if not all(is_allowed(address, allow) for address in addresses):
        raise FetchError("The address is not a public one, so it is not asked.")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout)
        except OSError:
            continue
    raise FetchError("The host does not answer.")


class _HTTPConnection(http.client.HTTPConnection):
    def __init__(self, host: str, port: int, timeout: float, allow: Allow) -> None:
        super().__init__(host, port, timeout=timeout)
        self._target = (host, port, timeout, allow)

    def connect(self) -> None:
        self.sock = connect(*self._target)


class _HTTPSConnection(_HTTPConnection):
    def connect(self) -> None:
        super().connect()
        context = ssl.create_default_context()
        self.sock = context.wrap_socket(self.sock, server_hostname=self._target[0])


@contextmanager
def call(
    method: str,
    url: str,
    *,
    allow: Allow,
    timeout: float,
    headers: dict[str, str] | None = None,
    body: bytes | BinaryIO | None = None,
) -> Iterator[Response]:
    """Make one request; a redirect is a response like any other. Raises FetchError."""
    connection = _connection(url, timeout, allow)
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body=body, headers=headers or {})
        with connection.getresponse() as response:
            yield response
    except ssl.SSLError:
        raise FetchError("The host's certificate is not valid.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchError(f"The exchange broke off ({type(error).__name__}).") from None
    finally:
        connection.close()


@contextmanager
def follow(method: str, url: str, *, allow: Allow, timeout: float) -> Iterator[Response]:
    """GET or HEAD over at most three redirects. Each new address is checked like the first."""
    for _ in range(MAX_REDIRECTS + 1):
        with call(
            method, url, allow=allow, timeout=timeout, headers={"Accept-Encoding": "identity"}
        ) as response:
            if response.status not in (301, 302, 303, 307, 308):
                yield response
                return
            url = urljoin(url, response.headers.get("Location", ""))
    raise FetchError("There are too many redirects.")


def _connection(url: str, timeout: float, allow: Allow) -> _HTTPConnection:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or parts.username is not None:
        raise FetchError("The address is not a plain http or https URL.")
    if parts.scheme == "https":
        return _HTTPSConnection(host, port or 443, timeout, allow)
    return _HTTPConnection(host, port or 80, timeout, allow)
