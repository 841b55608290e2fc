"""Strangers hold no thread of the engine, however many connections they have."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, ClassVar

import pytest
from django.core.handlers.wsgi import WSGIRequest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from finetune_portal.engine import gunicorn_worker
from finetune_portal.engine.gunicorn_worker import LimitedWorker, wait_for_client
from tests.waiting import until

HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"
WHOLE = HALF + b"Connection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE_BYTES = 20_000_000  # more than the buffers of the system on both sides
SECONDS = 20.0  # for a client to be answered; each of 200 strangers could hold a thread for one

Connect = Callable[[bytes], socket.socket]
Serve = Callable[..., Connect]


def app(environ: Any, start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/known":
        wait_for_client(WSGIRequest(environ))
    if environ["PATH_INFO"] in ("/known", "/unknown"):
        environ["wsgi.input"].read()
    body = bytes(LARGE_BYTES) if environ["PATH_INFO"] == "/large" else b""
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class CountedWorker(LimitedWorker):
    looks = 0  # of the main loop at connections that wait
    started: ClassVar[CountedWorker]  # the latest

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        CountedWorker.looks += 1
        super().on_pending_socket_readable(conn, client)


def is_cut(client: socket.socket) -> bool:
    try:
        return client.recv(1000) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a worker of two threads: `serve(connections=50)`; what it returns connects and sends."""
    with ExitStack() as stack:

        def start(connections: int = 1000) -> Connect:
            cfg = Config()
            cfg.set("threads", 2)
            cfg.set("worker_connections", connections)
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=500))
            listener.setblocking(False)
            worker = CountedWorker(1, os.getppid(), [listener], None, 30, cfg, Logger(cfg))
            worker.wsgi, worker.tpool = app, worker.get_thread_pool()
            worker.poller = selectors.DefaultSelector()
            worker.method_queue.init()
            CountedWorker.started = worker
            thread = threading.Thread(target=worker.run)
            stack.callback(worker.tmp.close)
            stack.callback(thread.join, 20)
            stack.callback(worker.method_queue.defer, lambda: None)
            stack.callback(setattr, worker, "alive", False)
            thread.start()

            def connect(sent: bytes) -> socket.socket:
                client = stack.enter_context(socket.create_connection(listener.getsockname(), SECONDS))
                client.sendall(sent)
                return client

            return connect

        yield start


@pytest.mark.parametrize(
    "sent",
    [
        *(HALF, b"\r", WHOLE, HALF + b"\r\n" + HALF),
        *(POST + b"Content-Length: 60000\r\n\r\n", POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
    ],
    ids=["half a head", "one byte", "never closed", "one and a half", "no body", "half a chunk"],
)
def test_two_hundred_strangers_let_a_request_through(serve: Serve, sent: bytes) -> None:
    connect = serve()
    for _ in range(200):
        connect(sent)
    assert connect(WHOLE).recv(1000).startswith(b"HTTP/1.1 200 ")


def test_who_does_not_read_gives_the_thread_back(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn_worker, "STRANGER_SECONDS", 0.1)
    connect = serve()
    for _ in range(6):
        connect(LARGE)
    assert connect(WHOLE).recv(1000).startswith(b"HTTP/1.1 200 ")


def test_who_has_shown_a_key_may_pause(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn_worker, "STRANGER_SECONDS", 0.1)
    connect, half = serve(), b" HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab"
    known = connect(b"PUT /known" + half)
    assert is_cut(connect(b"PUT /unknown" + half))
    known.sendall(b"cd")
    assert known.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_head_in_pieces_is_answered_and_the_connection_kept(serve: Serve) -> None:
    client = serve()(HALF)
    for pieces in ((b"A: b\r\n", b"\r", b"\n"), (HALF, b"\r\n"), (HALF + b"\r\n",)):
        for piece in pieces:
            client.sendall(piece)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_waiting_for_a_head_is_no_work(serve: Serve) -> None:
    connect = serve()
    connect(HALF)
    CountedWorker.looks = 0
    for _ in range(20):
        assert connect(WHOLE).recv(1000).startswith(b"HTTP/1.1 200 ")
    assert CountedWorker.looks < 50


def test_half_a_head_has_a_deadline(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn_worker, "HEADER_SECONDS", 0.1)
    assert is_cut(serve()(HALF))


def test_too_large_a_head_is_refused(serve: Serve) -> None:
    client = serve()(HALF + b"A: " + b"b" * gunicorn_worker.HEADER_BYTES)
    assert client.recv(1000).startswith(b"HTTP/1.1 431 ")


def test_beyond_the_most_connections_the_oldest_makes_room(serve: Serve) -> None:
    connect = serve(connections=20)
    strangers = [connect(HALF) for _ in range(50)]
    assert connect(WHOLE).recv(1000).startswith(b"HTTP/1.1 200 ")
    assert is_cut(strangers[0])
    strangers[-1].sendall(b"\r\n")
    assert strangers[-1].recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [HALF, HALF + b"\r\n"], ids=["half a head", "kept alive"])
def test_who_sends_while_it_makes_room_harms_nobody(serve: Serve, sent: bytes) -> None:
    connect = serve(connections=6)
    worker, is_held, goes_on = CountedWorker.started, threading.Event(), threading.Event()
    CountedWorker.looks = 0
    clients = [connect(sent) for _ in range(5)]
    until(lambda: worker.looks == 5 and len(worker.pending_conns) + len(worker.keepalived_conns) == 5)
    oldest = (worker.keepalived_conns or worker.pending_conns)[0].client

    def hold() -> None:
        is_held.set()
        goes_on.wait(20)

    worker.method_queue.defer(hold)
    assert is_held.wait(20)
    connect(HALF)
    next(client for client in clients if client.getsockname() == oldest).sendall(b"A")
    goes_on.set()
    assert connect(WHOLE).recv(1000).startswith(b"HTTP/1.1 200 ")
