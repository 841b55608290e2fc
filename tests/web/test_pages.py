"""Pages are made in a pool of threads that keep their connections: nobody outside can hold them."""

from __future__ import annotations

import inspect
import socket
from contextlib import ExitStack

import pytest
import requests
from django.core.handlers import asgi
from django.db import connection

from finetune_portal.web.asgi_handler import THREADS
from tests import databases
from tests.cookies import session_cookie
from tests.people import person
from tests.web_server import WebServer, session_of


def test_forms_that_come_in_slowly_hold_nobody_up(web: WebServer) -> None:
    head = f"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\nContent-Length: 1000\r\n\r\nusername="
    with ExitStack() as slow:
        for _ in range(THREADS + 1):
            sender = slow.enter_context(socket.create_connection(("127.0.0.1", web.port), 10))
            sender.sendall(head.encode())
        assert requests.get(f"{web.url}/login/", timeout=30).status_code == 200


def test_one_who_hangs_up_in_the_middle_leaves_nothing_behind(web: WebServer) -> None:
    head = f"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\nContent-Length: 1000\r\n\r\n"
    for _ in range(THREADS + 1):
        with socket.create_connection(("127.0.0.1", web.port), 10) as sender:
            sender.sendall(head.encode())
    assert requests.get(f"{web.url}/login/", timeout=30).status_code == 200


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no connection that could be cut")
def test_a_connection_that_the_database_cut_is_made_anew(web: WebServer) -> None:
    cookies = {session_cookie(web.url): session_of(person("alice", "maker"))}
    for _ in range(2):
        assert requests.get(web.url, cookies=cookies, timeout=30).status_code == 200
        with databases.opened(web.data) as own:
            own.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), %s)",
                [connection.connection.info.backend_pid if connection.connection else 0],
            )


def test_the_five_inner_parts_of_djangos_handler_are_as_the_handler_expects() -> None:
    """A new Django may move them without notice: then look at web/asgi_handler.py again."""
    handler = asgi.ASGIHandler
    parts = {
        handler.load_middleware: ["self", "is_async"],
        handler.read_body: ["self", "receive"],
        handler.create_request: ["self", "scope", "body_file"],
        handler.get_response: ["self", "request"],
        asgi.get_script_prefix: ["scope"],
    }
    assert {part: list(inspect.signature(part).parameters) for part in parts} == parts
    assert inspect.iscoroutinefunction(handler.read_body)
    assert not inspect.iscoroutinefunction(handler.get_response)
    assert "response._handler_class = self.__class__" in inspect.getsource(handler.run_get_response)
