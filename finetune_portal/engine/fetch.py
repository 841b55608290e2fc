"""The one way out: HTTP calls to addresses that somebody typed.

The name is resolved once, every address it has must be a public one (or in a network that the operator
listed), and the connection goes to that very address, so that a name cannot change its mind in between.
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

# Python counts these as global, but the first three carry an IPv4 address inside (NAT64 and 6to4), and the
# last is the site-local range of old.
_NOT_PUBLIC = tuple(ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "fec0::/10"))
LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
MOST_REDIRECTS = 3


class FetchFailed(Exception):
    """Why there was no answer, in a sentence without the address."""


def is_allowed(address: str, allow: Allow) -> bool:
    if allow is None:
        return True
    ip: Address = ip_address(address.split("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if any(ip in network for network in allow):
        return True
    if ip.is_multicast or ip.is_reserved or not ip.is_global:
        return False
    return not any(ip in network for network in _NOT_PUBLIC)


def dial(host: str, port: int, timeout: float, allow: Allow) -> socket.socket:
    """Connect to `host`, but only if all of its addresses are allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchFailed("The host name was not found.") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not all(is_allowed(address, allow) for address in addresses):
        raise FetchFailed("The address is not a public one, so it is not asked.")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout)
        except OSError:
            continue
    raise FetchFailed("The host does not answer.")


class _Plain(http.client.HTTPConnection):
    def __init__(self, host: str, port: int, timeout: float, allow: Allow) -> None:
        super().__init__(host, port, timeout=timeout)
        self._dialled = (host, port, timeout, allow)

    def connect(self) -> None:
        self.sock = dial(*self._dialled)


class _Secure(_Plain):
    def connect(self) -> None:
        super().connect()
        context = ssl.create_default_context()
        self.sock = context.wrap_socket(self.sock, server_hostname=self._dialled[0])


@contextmanager
def call(
    method: str,
    url: str,
    *,
    allow: Allow,
    timeout: float,
    headers: dict[str, str] | None = None,
    body: bytes | BinaryIO | None = None,
) -> Iterator[http.client.HTTPResponse]:
    """One exchange, no redirects followed."""
    connection = _connection(url, timeout, allow)
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body=body, headers=headers or {})
        with connection.getresponse() as answer:
            yield answer
    except ssl.SSLError:
        raise FetchFailed("The host's certificate is not valid.") from None
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise FetchFailed(f"The exchange broke off ({type(exc).__name__}).") from None
    finally:
        connection.close()


@contextmanager
def follow(method: str, url: str, *, allow: Allow, timeout: float) -> Iterator[http.client.HTTPResponse]:
    """The same for GET and HEAD, over at most three redirects; each new address is vetted as the first."""
    for _ in range(MOST_REDIRECTS + 1):
        with call(
            method, url, allow=allow, timeout=timeout, headers={"Accept-Encoding": "identity"}
        ) as answer:
            if answer.status not in (301, 302, 303, 307, 308):
                yield answer
                return
            url = urljoin(url, answer.headers.get("Location", ""))
    raise FetchFailed("There are too many redirects.")


def _connection(url: str, timeout: float, allow: Allow) -> _Plain:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or parts.username is not None:
        raise FetchFailed("The address is not a plain http or https URL.")
    secure = parts.scheme == "https"
    return (_Secure if secure else _Plain)(host, port or (443 if secure else 80), timeout, allow)
