"""Bodies that are too large or too slow are refused before anything is stored (U7, W5)."""

from __future__ import annotations

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryFile
from typing import Any

import pytest
import requests

from finetune_portal.web import body_limits
from finetune_portal.web.asgi_handler import ThreadPoolASGIHandler
from tests.cookies import csrf_cookie, session_cookie
from tests.people import form_data, person
from tests.web_server import WebServer, session_of

MIB = 1024 * 1024


def status_of(web: WebServer, path: str, *headers: str, body: bytes = b"") -> int:
    """What is answered to a head, and perhaps the beginning of a body, of a request that never ends."""
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{web.port}", "Content-Type: text/plain", *headers]
    with socket.create_connection(("127.0.0.1", web.port), 10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.parametrize("path", ["/login/", "/jobs/new/", "/finetune/request/submit", "/nowhere/"])
def test_a_stranger_sends_no_gigabytes(web: WebServer, path: str) -> None:
    assert status_of(web, path, "Content-Length: 5000000000") == 413
    assert status_of(web, path, f"Content-Length: {64 * 1024 + 1}") == 413
    chunk = b"%x\r\n" % (65 * 1024) + b"x" * 65 * 1024 + b"\r\n"
    assert status_of(web, path, "Transfer-Encoding: chunked", body=chunk) == 413
    assert requests.post(web.url + path, b"x" * 64 * 1024, timeout=30).status_code != 413


def test_a_large_form_whose_session_has_ended_leads_to_the_sign_in(web: WebServer) -> None:
    """The page keeps what was typed (static/js/keep-typed.js)."""
    page = f"{web.url}/datasets/1/"
    headers = {"Portal-Form": "1", "HX-Current-URL": page, "Cookie": f"{session_cookie(web.url)}=ended"}
    answer = requests.post(page, "captions=" + "x" * 100_000, headers=headers, timeout=30)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login/?next=%2Fdatasets%2F1%2F&ended=on"


def test_a_signed_in_person_sends_a_large_form(web: WebServer) -> None:
    cookies = {session_cookie(web.url): session_of(person("alice", "maker"))}
    answer = requests.post(f"{web.url}/nowhere/", b"x" * 2 * MIB, cookies=cookies, timeout=30)
    assert answer.status_code != 413


def test_nor_does_a_webhook(web: WebServer) -> None:
    path = "/hooks/segmind/any/"
    cookie = f"Cookie: {session_cookie(web.url)}={session_of(person('alice', 'maker'))}"
    for headers in ((), (cookie,)):
        assert status_of(web, path, f"Content-Length: {64 * 1024 + 1}", *headers) == 413
    chunk = b"%x\r\n" % (65 * 1024) + b"x" * 65 * 1024 + b"\r\n"
    assert status_of(web, path, "Transfer-Encoding: chunked", body=chunk) == 413
    assert requests.post(web.url + path, b"x" * 1024, timeout=30).status_code == 404


@pytest.mark.parametrize(
    ("role", "path"),
    [("viewer", "/jobs/new/"), ("viewer", "/profile/"), ("maker", "/profile/"), ("maker", "/nowhere/")],
)
def test_only_makers_send_files_and_only_where_a_form_has_one(web: WebServer, role: str, path: str) -> None:
    cookie = f"Cookie: {session_cookie(web.url)}={session_of(person(role, role))}"
    assert status_of(web, path, cookie, "Content-Length: 5000000") == 413
    chunk = b"%x\r\n" % (3 * MIB) + b"x" * 3 * MIB + b"\r\n"
    assert status_of(web, path, cookie, "Transfer-Encoding: chunked", body=chunk) == 413


def test_a_picture_for_the_playground_is_smaller_than_a_dataset(web: WebServer) -> None:
    cookie = f"Cookie: {session_cookie(web.url)}={session_of(person('alice', 'maker'))}"
    assert status_of(web, "/try/", cookie, "Content-Length: 60000000") == 413


def test_a_maker_sends_a_file_by_a_plain_form(web: WebServer) -> None:
    cookies = {session_cookie(web.url): session_of(person("alice", "maker")), csrf_cookie(web.url): "c" * 32}
    fields = {**form_data(), "csrfmiddlewaretoken": "c" * 32}
    file = {"file": ("night.zip", b"PK" * 2 * MIB)}
    answer = requests.post(
        f"{web.url}/jobs/new/", fields, files=file, cookies=cookies, timeout=20, allow_redirects=False
    )
    assert answer.status_code == 302, answer.text[:500]


def test_a_large_body_goes_to_a_file_while_it_arrives() -> None:
    parts = [b"x" * 40_000, b"x" * 40_000]

    async def receive() -> Any:
        return {"type": "http.request", "body": parts.pop(), "more_body": bool(parts)}

    with (
        ThreadPoolExecutor(1) as own,
        own.submit(asyncio.run, ThreadPoolASGIHandler(TemporaryFile).read_body(receive)).result() as body,
    ):
        assert os.fstat(body.fileno()).st_size == 80_000


def test_a_body_that_trickles_in_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limits, "WEBHOOK_SECONDS", 0.1)
    sent: list[Any] = []

    async def trickle() -> dict[str, Any]:
        await asyncio.sleep(0.03)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/hooks/segmind/any/", "headers": []}
    with ThreadPoolExecutor(1) as own:  # where no browser's loop runs
        own.submit(asyncio.run, body_limits.limit_body(app, scope, trickle, send)).result()
    assert sent[0]["status"] == 408
