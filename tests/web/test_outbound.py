"""The guard for typed addresses: what is not public is refused in words, and nothing is connected."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any
from urllib.parse import unquote

import pytest

from finetune_portal.datasets import remote
from finetune_portal.web import outbound

LOOPBACK = [
    "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.0.0.1",
    "0177.0.0.1", "017700000001", "0x7f.1", "127.0.0.1.", "localhost", "LOCALHOST", "localhost.", "[::1]",
    "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0000::1]", "0.0.0.0", "0", "[::]",
    "[::ffff:0.0.0.0]", "[::127.0.0.1]", "[::1%25lo]",
    "127。0。0。1", "１２７.０.０.１", "①②⑦.⓪.⓪.①", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "0x7f.0x0.0x0.0x1", "0177.0.0.01", "00000177.0x0.1", "%31%32%37.0.0.1", "localhost%2e", "127.0.0.1%2f",
]  # fmt: skip
PRIVATE = [
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.254",
    "167772161", "0xa000001", "012.0.0.1", "169.254.169.254", "169.254.0.1", "0xa9fea9fe", "2852039166",
    "100.64.0.1", "100.127.255.255", "198.18.0.1", "192.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "[fc00::1]", "[fd12:3456::1]",
    "[fe80::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[64:ff9b::7f00:1]", "[64:ff9b::a00:1]",
    "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2002:a00:1::]", "[::ffff:169.254.169.254]",
    "[::ffff:10.0.0.1]", "[::10.0.0.1]", "[100::1]", "[100:0:0:1::1]", "[3fff::1]", "[5f00::1]", "[2001::1]",
    "[2001:db8:ffff::]", "[::ffff:0:7f00:1]", "[ff01::1]", "[fe80::1%25eth0]", "192.168.0.1.", "10。0。0。1",
]  # fmt: skip
NOT_WEB = [
    "ftp://example.com/a.zip", "file:///etc/passwd", "gopher://127.0.0.1/", "javascript:alert(1)",
    "//example.com/a", "example.com/a.zip", "http://", "http:///a.zip", "http://user:word@example.com/a.zip",
    "http://user@127.0.0.1/", "http://exa mple.com/", "http://example.com/\r\nHost: a", "http://[::1", "",
    "http://127.0.0.1:99999/", "http://127.0.0.1:0/", "http://127.0.0.1:80:80/",
    "http://example.com@127.0.0.1/", "http://127.0.0.1\\@example.com/", "http://example.com\\@127.0.0.1/",
    "http:127.0.0.1", "http:/127.0.0.1/",
    "http://127.0.0.1\t/", " http://127.0.0.1/", "http://\u200b127.0.0.1/", "data:text/plain,x", "unix:///tmp/a",
]  # fmt: skip


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listening:
        yield listening


class Listener:
    """Listens on every address of this machine and counts who came."""

    def __enter__(self) -> Listener:
        self.calls = 0
        self._socket = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()
        return self

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.calls += 1
            connection.close()

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.mark.parametrize("host", LOOPBACK)
def test_this_machine_is_never_called(host: str, listener: Listener) -> None:
    with pytest.raises(remote.RemoteFileError, match="private network|not found|not a web address"):
        remote.open_remote(f"http://{host}:{listener.port}/pairs.zip", max_bytes=10**9)
    assert listener.calls == 0


@pytest.mark.parametrize("host", PRIVATE)
def test_private_and_special_ranges_are_refused_before_a_connection(host: str) -> None:
    with pytest.raises(remote.RemoteFileError, match="private network|not found|not a web address"):
        remote.open_remote(f"http://{host}/pairs.zip", max_bytes=10**9)


@pytest.mark.parametrize("url", NOT_WEB)
def test_what_is_no_web_address_is_refused_in_words(url: str) -> None:
    with pytest.raises(outbound.ForbiddenAddressError, match="not a web address|name or password"):
        outbound.check_form(url)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_pass(address: str) -> None:
    assert outbound.is_public(address)


class Redirecting(BaseHTTPRequestHandler):
    """Sends everyone on to where the path says."""

    def do_HEAD(self) -> None:
        self.send_response(302)
        self.send_header("Location", unquote(self.path.removeprefix("/to/")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def redirector(settings: Any) -> Iterator[str]:
    """On 127.0.0.2, which the operator listed; 127.0.0.1 stays forbidden."""
    settings.OUTBOUND_NETWORKS = [ip_network("127.0.0.2/32")]
    server = ThreadingHTTPServer(("127.0.0.2", 0), Redirecting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.2:{server.server_port}/to/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433"])
def test_a_redirect_to_this_machine_is_not_followed(host: str, redirector: str, listener: Listener) -> None:
    with pytest.raises(remote.RemoteFileError, match="private network"):
        remote.open_remote(f"{redirector}http://{host}:{listener.port}/", max_bytes=10**9)
    assert listener.calls == 0


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What a name server answers, one after the other; the last one for ever."""
    resolved: dict[str, list[str]] = {}
    system = socket.getaddrinfo

    def answer(host: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        addresses = resolved.get(host, [host])
        address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
        return [entry for each in address.split() for entry in system(each, port, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return resolved


def test_a_name_with_one_private_address_among_public_ones_is_refused(
    names: dict[str, list[str]], listener: Listener
) -> None:
    for number, address in enumerate(("93.184.215.14 127.0.0.1", "::1 2606:4700:4700::1111", "127.0.0.1")):
        names[f"{number}.example"] = [address]
        with pytest.raises(remote.RemoteFileError, match="private network"):
            remote.open_remote(f"http://{number}.example:{listener.port}/", max_bytes=10**9)
    assert listener.calls == 0


def test_a_name_that_changes_its_mind_leads_nowhere(
    names: dict[str, list[str]], redirector: str, listener: Listener
) -> None:
    """F2: the first answer is judged and called; the next connection judges anew."""
    names["twice.example"] = ["127.0.0.2", "127.0.0.1"]
    port = redirector.split(":")[2].split("/", maxsplit=1)[0]
    onward = f"http://twice.example:{port}/to/http://twice.example:{listener.port}/"
    with pytest.raises(remote.RemoteFileError, match="private network"):
        remote.open_remote(onward, max_bytes=10**9)
    assert names["twice.example"] == ["127.0.0.1"]
    assert listener.calls == 0


@pytest.fixture
def dripper(settings: Any) -> Iterator[str]:
    """Sends its answer a byte at a time, and never ends; the path says from where on."""
    settings.OUTBOUND_NETWORKS = [ip_network("127.0.0.2/32")]
    over = threading.Event()

    class Dripping(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            if self.path == "/headers":
                self.drip(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()

        def do_GET(self) -> None:
            self.drip(b"" if self.path == "/silence" else b"HTTP/1.1 206 Partial Content\r\nX-Slow: ")

        def drip(self, begin: bytes) -> None:
            self.wfile.write(begin)
            with suppress(OSError):
                while not over.wait(0.05):
                    self.wfile.write(b"" if self.path == "/silence" else b"x")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.2", 0), Dripping)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # it was cut off, as it should be
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.2:{server.server_port}"
    over.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["/headers", "/ranged", "/silence"])
def test_a_server_that_drips_is_cut_off(dripper: str, path: str) -> None:
    """F4"""
    begun = time.monotonic()
    with pytest.raises(remote.RemoteFileError), outbound.within(0.5):
        remote.open_remote(f"{dripper}{path}", max_bytes=10**9).read_at(0, 100)
    assert time.monotonic() - begun < 10


def test_what_is_opened_after_the_time_is_over_is_cut_off_too(dripper: str) -> None:
    with outbound.within(0.01):
        threading.Event().wait(0.2)
        with pytest.raises(remote.RemoteFileError):
            remote.open_remote(f"{dripper}/ranged", max_bytes=10**9).read_at(0, 100)


def test_endless_redirects_end_in_a_sentence(redirector: str) -> None:
    with pytest.raises(remote.RemoteFileError, match="redirects too often"):
        remote.open_remote(f"{redirector}/endless", max_bytes=10**9)
