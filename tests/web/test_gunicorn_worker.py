"""Strangers hold neither connections nor memory: deadlines, limits, and who makes room."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from gunicorn.config import Config
from gunicorn.glogging import Logger

from finetune_portal.web import gunicorn_worker
from finetune_portal.web.gunicorn_worker import Connection, LimitedWorker
from tests.waiting import PATIENCE, until
from tests.web_server import WebServer

LATE_TIMEOUT = 30  # a busy machine takes its time to start a worker
LATE = f"""
import pathlib, time
from finetune_portal.gunicorn import *
from finetune_portal.gunicorn import post_fork as hand_over

workers = 1
graceful_timeout = {LATE_TIMEOUT}

def post_fork(server, worker):
    pathlib.Path(__file__).with_name("forked").touch()
    time.sleep(1)
    hand_over(server, worker)
"""
HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"
MIB = 1024 * 1024


async def app(scope: Any, receive: Any, send: Any) -> None:
    """/stream sends `beat` again and again, /refuse reads no body, /large sends 64 MiB."""
    status = 413 if scope["path"] == "/refuse" else 200
    more = status == 200
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            app.disconnects += 1  # type: ignore[attr-defined]
            return
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": status, "headers": []})
    gone = asyncio.ensure_future(receive())
    while scope["path"] == "/stream" and not gone.done():
        await send({"type": "http.response.body", "body": b"beat", "more_body": True})
        await asyncio.wait({gone}, timeout=0.05)
    gone.cancel()
    await send({"type": "http.response.body", "body": bytes(64 * MIB) if scope["path"] == "/large" else b""})


class Served(LimitedWorker):
    """The worker in a thread of this process, with `port`, and clients that end with it."""

    port: int
    clients: ExitStack

    def connect(self, *sent: bytes, address: str = "127.0.0.1") -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), 20, source_address=(address, 0))
        self.clients.enter_context(client)
        client.sendall(b"".join(sent))
        return client

    def open(self) -> list[Connection]:
        return list(self.connections._open)


@contextmanager
def serving(most: int = 100) -> Iterator[Served]:
    cfg = Config()
    cfg.set("worker_connections", most)
    cfg.set("graceful_timeout", 0)
    listener = socket.create_server(("127.0.0.1", 0))
    sockets = [SimpleNamespace(sock=listener, close=listener.close)]
    served = Served(1, os.getppid(), sockets, None, 30, cfg, Logger(cfg))
    served.asgi, served.loop, served.port = app, asyncio.new_event_loop(), listener.getsockname()[1]
    thread = threading.Thread(target=served.run)
    app.disconnects = 0  # type: ignore[attr-defined]
    with ExitStack() as clients:
        served.clients = clients
        thread.start()
        until(lambda: served.servers)
        yield served
    until(lambda: not served.nr_conns)
    served.alive = False
    thread.join(20)
    served.tmp.close()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(gunicorn_worker, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(gunicorn_worker, "LINGER_SECONDS", 0.5)
    with serving() as served:
        yield served


def post(path: str, length: int) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def is_answered(client: socket.socket) -> bool:
    client.sendall(b"\r\n")
    return client.recv(1000).startswith(b"HTTP/1.1 200")


def is_cut(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def status_of(client: socket.socket) -> int:
    return int(client.recv(1000).split()[1])


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


def rest_of(client: socket.socket) -> bytes:
    """All that still comes until the other side closes."""
    with client.makefile("rb") as file:
        return file.read()


@pytest.mark.parametrize("half", [HALF, post("/", 500) + b"x"], ids=["head", "body"])
def test_half_a_request_is_given_up(half: bytes, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn_worker, "HEADER_SECONDS", 0.1)
    monkeypatch.setattr(gunicorn_worker, "BODY_SECONDS", 0.1)
    assert rest_of(served.connect(half)).startswith(b"HTTP/1.1 408 ")
    until(lambda: not served.open())
    assert app.disconnects == half.startswith(b"POST")  # type: ignore[attr-defined]


def test_who_says_nothing_is_told_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn_worker, "HEADER_SECONDS", 0.1)
    client = served.connect()
    assert client.recv(1) == b""


def test_each_byte_of_a_body_gives_time(served: Served) -> None:
    """A slow but steady upload goes on, whatever it takes in all."""
    client = served.connect(post("/", 200_000))
    until(lambda: served.open() and served.open()[0].awaits_body)
    connection = served.open()[0]
    before = connection.until = time.monotonic() + 10
    client.sendall(bytes(2048))
    until(lambda: connection._body_bytes == 2048)
    assert connection.until == before + 2
    client.sendall(bytes(100 * 1024))
    until(lambda: connection._body_bytes == 102 * 1024)
    assert connection.until - time.monotonic() <= gunicorn_worker.BODY_SECONDS


def test_half_requests_from_anywhere_make_room_and_a_stream_stays(served: Served) -> None:
    stream = served.connect(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200 OK" in stream.recv(1000)
    half = [served.connect(HALF) for _ in range(300)]
    assert is_answered(served.connect(HALF))
    assert len(served.open()) <= 100
    assert is_cut(half[0])
    assert is_answered(half[-1])
    stream.recv(100_000)  # what has come meanwhile
    assert b"beat" in stream.recv(1000)


def test_one_address_has_a_share_and_a_proxy_has_none(served: Served) -> None:
    others = [served.connect(HALF) for _ in range(60)]
    half = [served.connect(HALF, address="127.0.0.2") for _ in range(60)]
    assert is_answered(served.connect(HALF, address="127.0.0.2"))
    until(lambda: len(served.open()) == 60 + 25)
    assert is_answered(others[0])
    assert is_answered(half[-1])


def test_a_slow_body_makes_room_unless_its_sender_is_known(served: Served) -> None:
    known = served.connect(post("/", 80_001), bytes(80_000))
    until(lambda: served.open() and not served.open()[0].is_unknown)
    slow = [served.connect(post("/", 2), b"1") for _ in range(99)]
    until(lambda: len(served.open()) == 100 and not any(each.is_idle for each in served.open()))
    assert is_answered(served.connect(HALF))
    assert is_cut(slow[0])
    known.sendall(b"x")
    assert status_of(known) == 200


def test_bodies_together_hold_no_more_than_they_may(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn_worker, "HELD_BYTES", 500_000)
    for _ in range(30):
        served.connect(post("/", 60_001), bytes(60_000))
    assert is_answered(served.connect(HALF))
    until(lambda: served.connections.held > 400_000 and len(served.open()) < 10, why="all came in")
    assert served.connections.held <= 500_000


def test_who_does_not_read_the_response_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn_worker, "READ_SECONDS", 0.1)
    monkeypatch.setattr(gunicorn_worker, "LEAST_SPEED", 10**9)
    client = served.connect(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.recv(1, socket.MSG_PEEK), "the response has begun"
    until(lambda: not served.open())


def test_who_is_refused_early_can_read_why(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn_worker, "LINGER_SECONDS", 60.0)
    client = served.connect(post("/refuse", 20 * MIB))
    select.select([client], [], [], 20)
    client.sendall(bytes(5 * MIB))  # as a browser does, which reads when it has sent
    assert status_of(client) == 413


def test_a_client_that_has_gone_is_given_up_in_silence(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    client = served.connect(post("/", 2), b"1")
    until(lambda: served.open() and served.open()[0].awaits_body)
    connection = served.open()[0]

    def go() -> None:
        """In the loop, so that it has not heard of the reset when it closes."""
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        connection._close_transport()

    served.loop.call_soon_threadsafe(go)
    until(lambda: not served.open())
    assert warnings_in(caplog) == []


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "+1", "1_0", "\u0663"])
def test_odd_lengths_are_refused_in_silence(
    length: str, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    assert rest_of(served.connect(head.encode())).startswith(b"HTTP/1.1 400 ")
    assert warnings_in(caplog) == []


def test_headers_have_a_size_together(served: Served) -> None:
    client = served.connect(HALF, *(b"x-%d: %s\r\n" % (n, b"x" * 8000) for n in range(9)))
    assert rest_of(client).startswith(b"HTTP/1.1 431 ")


def test_pages_answer_while_strangers_hold_all_they_can(tmp_path: Path) -> None:
    """The bar at 5,000 half requests is measured by tests/bench/strangers.py."""
    web = WebServer(tmp_path / "data", environment={"WEB_WORKERS": "1"}, files=300).prepare()
    with ExitStack() as half:
        try:
            web.start()
            assert web.process
            assert resource.prlimit(web.process.pid, resource.RLIMIT_NOFILE) == (300, 300)
            for number in range(400):
                address = (f"127.0.0.{number % 50 + 2}", 0)
                client = socket.create_connection(("127.0.0.1", web.port), 20, source_address=address)
                half.enter_context(client).sendall(HALF)
                if number % 50 == 0:
                    assert requests.get(f"{web.url}/login/", timeout=20 * PATIENCE).status_code == 200
        finally:
            web.stop()
    assert "Traceback" not in web.log.read_text()


def test_a_worker_that_is_just_starting_hears_that_it_shall_stop(tmp_path: Path) -> None:
    """Until it has its own signal handlers it has those of the process that forked it."""
    late = tmp_path / "late.py"
    late.write_text(LATE)
    web = WebServer(tmp_path / "data", config=str(late)).prepare().begin()
    try:
        until((tmp_path / "forked").exists, why="a worker starts")
        assert web.stop() < LATE_TIMEOUT
    finally:
        web.stop()


def test_a_websocket_is_refused_in_silence(web: WebServer) -> None:
    key = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "A" * 22 + "=="}
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", **key}
    before = len(web.log.read_text())
    assert requests.get(f"{web.url}/live/", headers=headers, timeout=20).status_code == 403
    written = web.log.read_text()[before:].lower()  # perhaps also of connections of earlier tests
    assert [word for word in ("/live/", "websocket", "upgrade", "traceback") if word in written] == []
