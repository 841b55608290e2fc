"""Send requests to addresses that people typed. Only public hosts are called, judged by their IP addresses.

Every address of the name must be public or in a network of `PORTAL_OUTBOUND_NETWORKS`. The connection goes to
the very address that was judged, so a name that resolves to something else a moment later gains nothing. Each
redirect is judged again, and `within` cuts off a server that sends slowly for ever. Calls to providers do not
pass here, as their addresses come from the operator; what a provider's answers name for files does (`dial`).
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from http import client
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

Network = IPv4Network | IPv6Network
CONNECT_SECONDS = 5.0
MOST_REDIRECTS = 3
TIMEOUT = (CONNECT_SECONDS, 20.0)
NOT_AN_ADDRESS = "This is not a web address. It should look like https://example.com/pairs.zip"

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


class OutboundError(Exception):
    """A request failed. The text is for people and does not hold the address."""


class ForbiddenAddressError(OutboundError):
    """The address may not be called, so no connection was made."""


class HostNotFoundError(ForbiddenAddressError):
    """The name of the host has no address."""


class Response(NamedTuple):
    """`url` is the address after redirects; `content` is empty for HEAD."""

    status: int
    url: str
    headers: Mapping[str, str]
    content: bytes = b""


class Session:
    """Requests to an address that a person typed. Judges every connection, also of redirects.

    Its methods raise OutboundError.
    """

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.max_redirects = MOST_REDIRECTS
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.adapters.clear()  # nothing but http and https
        self._session.mount("http://", _Adapter())
        self._session.mount("https://", _Adapter())

    def head(self, url: str) -> Response:
        check_form(url)
        with _translated(), self._session.head(url, timeout=TIMEOUT, allow_redirects=True) as response:
            return Response(response.status_code, response.url, response.headers)

    def get_range(self, url: str, start: int, end: int) -> Response:
        """The bytes from `start` to before `end`; reads no more even if the server ignores the range."""
        stream = self.open_range(url, start, end)
        with closing(stream):
            return Response(stream.status, stream.url, stream.headers, stream.read(end - start))

    def open_range(self, url: str, start: int, end: int) -> Stream:
        """The same, to be read. A server that ignores the range sends the whole file."""
        check_form(url)
        headers = {"Range": f"bytes={start}-{end - 1}"}
        with _translated():
            return Stream(self._session.get(url, headers=headers, timeout=TIMEOUT, stream=True))


class Stream:
    """A response that is read as it comes; each block of `within` in which it is read can cut it."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self.status, self.url, self.headers = response.status_code, response.url, response.headers
        self._limit: _Limit | None = getattr(_calls, "limit", None)
        self._connections = [each.dup() for each in self._limit.opened] if self._limit else []

    def read(self, count: int) -> bytes:
        """The next bytes, `count` of them unless the response ends. Raises OutboundError."""
        limit = getattr(_calls, "limit", None)
        if limit and limit is not self._limit:
            for each in self._connections:
                limit.keep(each)
            self._limit = limit
        with _translated():
            return bytes(self._response.raw.read(count))

    def close(self) -> None:
        self._response.close()
        for each in self._connections:
            each.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
        raise OutboundError(NOT_AN_ADDRESS) from None
    except requests.TooManyRedirects:
        raise OutboundError("The address redirects too often. Use the final one.") from None
    except (requests.RequestException, HTTPError):
        raise OutboundError("The server of this address does not answer as it should. Try again.") from None


def is_answering(url: str, *, seconds: float = 1.0) -> bool:
    """Whether a process of our own on this machine answers with a success in time."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(url, timeout=seconds).ok
    except requests.RequestException:
        return False


class UnreachableError(OutboundError):
    """No answer came from the portal's own address; the text says why, for people."""


class OwnAnswer(NamedTuple):
    """What answered at the portal's own address, and whether its name led to a private one."""

    status: int
    is_private: bool


def post_to_own_address(url: str, body: str, headers: Mapping[str, str], *, seconds: float) -> OwnAnswer:
    """POST once to the portal's own public address. Follows no redirect. Raises UnreachableError.

    The address may be private: it is the operator's own PORTAL_URL, which nobody typed into a page.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    kind = client.HTTPSConnection if parts.scheme == "https" else client.HTTPConnection
    connection = kind(host, parts.port, timeout=seconds)
    try:
        connection.connect()
        is_private = not is_public(connection.sock.getpeername()[0])
        connection.request("POST", parts.path, body, dict(headers))
        return OwnAnswer(connection.getresponse().status, is_private)
    except (OSError, client.HTTPException, UnicodeError) as exc:
        raise UnreachableError(_reason(exc, host, seconds)) from None
    finally:
        connection.close()


def _reason(exc: Exception, host: str, seconds: float) -> str:
    match exc:
        case socket.gaierror() | UnicodeError():
            return f"The name {host} was not found (DNS)."
        case ssl.SSLCertVerificationError():
            return f"The certificate of {host} is not valid: {exc.verify_message}. Others will refuse it too."
        case ssl.SSLError():
            return f"{host} does not speak TLS as it should. Is PORTAL_URL right about https?"
        case TimeoutError():
            return f"{host} did not answer within {seconds:.0f} s. A firewall may swallow what comes."
        case ConnectionRefusedError():
            return f"{host} refused the connection: nothing listens there."
        case _:
            return f"The connection to {host} broke ({type(exc).__name__})."


def check_form(url: str) -> None:
    """Raise ForbiddenAddressError for what is not a plain web address, before its name is resolved."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        plain = False
    if not plain or not url.isprintable() or " " in url:
        raise ForbiddenAddressError(NOT_AN_ADDRESS)
    if parts.username is not None or parts.password is not None:
        raise ForbiddenAddressError("The address carries a name or password. Use one that works without.")


def is_public(address: str, listed: Sequence[Network] = ()) -> bool:
    """Whether an IP address may be called: global, or in one of the networks that the operator listed."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if any(ip in network for network in listed):
        return True
    return not any(ip in network for network in _SPECIAL)


def dial(host: str, port: int) -> socket.socket:
    """Connect to a host, if all its addresses are public or listed, at one of those that were judged.

    Raises ForbiddenAddressError, or an OSError where nobody answers.
    """
    try:
        infos = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise HostNotFoundError("The host of this address was not found. Is it spelled right?") from None
    addresses = [str(entry[4][0]) for entry in infos]
    if not all(is_public(address, settings.OUTBOUND_NETWORKS) for address in addresses):
        raise ForbiddenAddressError("This address is in a private network. The provider needs a public one.")
    trouble: OSError = OSError()
    for address in addresses:
        try:
            connection = socket.create_connection((address, port), CONNECT_SECONDS)
        except OSError as exc:
            trouble = exc
            continue
        if limit := getattr(_calls, "limit", None):
            limit.keep(connection)
        return connection
    raise trouble


class _Limit:
    """The connections of one thread, and whether their time is over."""

    def __init__(self) -> None:
        self.opened: list[socket.socket] = []
        self.is_over = False

    def keep(self, connection: socket.socket) -> None:
        """By a handle of its own: TLS takes the first one away."""
        self.opened.append(connection.dup())
        if self.is_over:
            self.cut()

    def cut(self) -> None:
        self.is_over = True
        for each in self.opened:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


_calls = threading.local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Every connection of this thread ends after so long, however busily its server drips."""
    limit = _calls.limit = _Limit()
    timer = threading.Timer(seconds, limit.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        del _calls.limit
        for each in limit.opened:
            each.close()


class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return dial(self.host, self.port or 80)


class _Secure(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return dial(self.host, self.port or 443)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = cast(Any, _Plain)


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = cast(Any, _Secure)


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
