"""Connections that fail, break or do not end: what surely never left is told from what may have arrived."""

from __future__ import annotations

import gzip
import io
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from finetune_portal.providers.errors import (
    CallError,
    ConnectionLostError,
    InvalidResponseError,
    UnauthorizedError,
    UnreachableError,
)
from finetune_portal.providers.segmind import SegmindClient
from tests.ports import closed_port
from tests.provider import KEY, Answer, ScriptedProvider, breaks, endless, half, raw, says
from tests.providers.segmind.conftest import SUBMIT
from tests.waiting import until

CERTIFICATE = Path(__file__).with_name("localhost.pem")
SECRET = "a-signature-nobody-may-read"


def failure(call: Callable[[], object]) -> CallError:
    with pytest.raises(CallError) as caught:
        call()
    shown = f"{caught.value} {caught.value!r} {caught.value.detail} {caught.value.__dict__}"
    assert KEY not in shown
    assert SECRET not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def submit_to(base_url: str, key: str = KEY) -> CallError:
    return failure(lambda: SegmindClient(base_url, key).submit(SUBMIT))


def assert_never_left(error: CallError) -> None:
    assert type(error) is UnreachableError
    assert error.retryable
    assert not error.may_have_been_sent


def assert_may_have_arrived(error: CallError) -> None:
    assert isinstance(error, ConnectionLostError | InvalidResponseError)
    assert error.retryable
    assert error.may_have_been_sent


@pytest.mark.parametrize(
    "base_url",
    [
        "http://provider.invalid",
        f"http://{'a' * 70}.example",
        "http://127.0.0.1:1",
        "https://127.0.0.1:1",
        "api.segmind.com",
        "ftp://127.0.0.1",
        "http://[::1",
        "http://127.0.0.1:99999",
        "",
    ],
)
def test_what_cannot_be_reached_was_not_sent(base_url: str) -> None:
    """S3: refused, no such name, an address that is none."""
    assert_never_left(submit_to(base_url))


def test_a_stopped_provider_and_its_return(provider: ScriptedProvider, client: SegmindClient) -> None:
    client.list()
    provider.stop()
    assert_never_left(failure(lambda: client.submit(SUBMIT)))
    assert_never_left(failure(client.list))
    provider.start()
    assert client.submit(SUBMIT).request_id
    assert provider.charged(SUBMIT.name) == 1


@pytest.mark.parametrize("key", ["ключ", "line\nbreak", "\udcff", "a\r\nx-more: 1"])
def test_a_key_that_no_header_can_hold(provider: ScriptedProvider, key: str) -> None:
    error = submit_to(provider.url, key)
    assert not error.may_have_been_sent
    assert isinstance(error, UnauthorizedError | UnreachableError)
    assert key not in f"{error} {error.detail}"
    assert provider.jobs == []


@pytest.mark.parametrize("is_taken", [True, False])
@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_connection_that_breaks_after_the_request_left(
    provider: ScriptedProvider, client: SegmindClient, ending: str, is_taken: bool
) -> None:
    """S4: taken and not taken look the same from here."""
    provider.script("submit", breaks(ending, taken=is_taken))
    assert_may_have_arrived(failure(lambda: client.submit(SUBMIT)))
    assert provider.charged(SUBMIT.name) == is_taken
    assert len(provider.sent("submit")) == 1


@pytest.mark.parametrize(
    "answer",
    [
        half(),
        raw(b"", taken=True),
        raw(b"garbage", taken=True),
        raw(b"HTTP/1.1 200 OK\r\nContent-Le", taken=True),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\n", taken=True),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", taken=True),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}", taken=True),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-8000000000000001", taken=True),
        raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n{}", taken=True),
        raw(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n{}", taken=True),
        raw(b"\x16\x03\x01\x02\x00" * 20, taken=True),
    ],
    ids=lambda answer: (answer.body or b"half")[-12:].decode("latin-1"),
)
def test_an_answer_that_is_not_whole(
    provider: ScriptedProvider, client: SegmindClient, answer: Answer
) -> None:
    provider.script("submit", answer)
    assert_may_have_arrived(failure(lambda: client.submit(SUBMIT)))
    assert provider.charged(SUBMIT.name) == 1
    assert len(provider.sent("submit")) == 1


@pytest.mark.parametrize("answer", [breaks("hang", taken=True), endless("drip", b" "), Answer(delay=30)])
def test_time_runs_out_after_the_request_left(provider: ScriptedProvider, answer: Answer) -> None:
    """S4, also for an answer that comes byte by byte and never stops."""
    provider.script("submit", answer)
    impatient = SegmindClient(provider.url, KEY, max_seconds=0.3)
    started = time.monotonic()
    assert_may_have_arrived(failure(lambda: impatient.submit(SUBMIT)))
    assert time.monotonic() - started < 15, "it did not wait for the end"
    assert until(lambda: provider.charged(SUBMIT.name)) == 1


def test_an_answer_that_does_not_end_is_cut(provider: ScriptedProvider, client: SegmindClient) -> None:
    provider.script("submit", endless())
    assert type(failure(lambda: client.submit(SUBMIT))) is InvalidResponseError
    provider.script("list", endless(), says(200, b"[" + b" " * 2 * 1024 * 1024 + b"]"))
    assert type(failure(client.list)) is InvalidResponseError
    assert client.list() == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-unheard"])
def test_a_compressed_answer_is_not_unpacked(
    provider: ScriptedProvider, client: SegmindClient, encoding: str
) -> None:
    provider.script("list", says(200, gzip.compress(b"[]"), Content_Encoding=encoding))
    assert_may_have_arrived(failure(client.list))


@pytest.mark.parametrize(
    "answer",
    [
        says(401, gzip.compress(b"{}"), Content_Encoding="gzip"),
        Answer(401, b"no" * 50_000, ending="endless", taken=False),
        Answer(401, b'{"error": "no"}', ending="half", taken=False),
    ],
)
def test_a_refusal_needs_no_readable_words(
    provider: ScriptedProvider, client: SegmindClient, answer: Answer
) -> None:
    """S11: the status has said it."""
    provider.script("submit", answer)
    error = failure(lambda: client.submit(SUBMIT))
    assert type(error) is UnauthorizedError
    assert error.detail == ""


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            {"detail": [{"loc": ["body", "steps"], "msg": "Input should be less than 5000", "type": "x"}]},
            "steps: Input should be less than 5000",
        ),
        (
            {"detail": [{"loc": ["body", "advance_parameters", "rank"], "msg": "Field required"}]},
            "advance_parameters.rank: Field required",
        ),
        ({"detail": [{"loc": ["body"], "msg": "Not JSON"}]}, "Not JSON"),
        ({"error": {"message": "too many", "param": "steps"}}, "steps: too many"),
        ({"error": {"message": "steps is too many", "param": "steps"}}, "steps is too many"),
        ({"error": {"steps": ["Too many."], "name": "Taken."}}, "steps: Too many.; name: Taken."),
    ],
)
def test_a_rejection_keeps_the_name_of_the_field(
    provider: ScriptedProvider, client: SegmindClient, body: dict[str, object], sentence: str
) -> None:
    """docs/provider-api.md, 12.1: FastAPI's form, and others that name a field."""
    provider.script("submit", says(422, json.dumps(body).encode()))
    assert failure(lambda: client.submit(SUBMIT)).detail == sentence


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_an_upload_that_breaks_can_be_tried_again(
    provider: ScriptedProvider, client: SegmindClient, ending: str
) -> None:
    url = f"{provider.url}/storage/a.zip?X-Amz-Signature={SECRET}"
    provider.script(
        "upload", breaks(ending, taken=False), says(403, b"<Error><Code>RequestExpired</Code></Error>")
    )
    assert failure(lambda: client.upload(url, io.BytesIO(b"PK"), 2)).retryable
    expired = failure(lambda: client.upload(url, io.BytesIO(b"PK"), 2))
    assert (expired.retryable, expired.detail) == (True, "RequestExpired")
    assert client.upload(url, io.BytesIO(b"PK"), 2).etag


def test_an_upload_to_nowhere_and_of_a_file_that_shrank(
    provider: ScriptedProvider, client: SegmindClient
) -> None:
    query = f"?X-Amz-Signature={SECRET}"
    for base in (f"http://127.0.0.1:{closed_port()}", "https://provider.invalid", "http://127.0.0.1:99999"):
        error = failure(partial(client.upload, base + "/a.zip" + query, io.BytesIO(b"PK"), 2))
        assert_never_left(error)
    shrunk = failure(lambda: client.upload(f"{provider.url}/storage/a.zip{query}", io.BytesIO(b"P"), 2))
    assert shrunk.retryable
    assert provider.stored == {}


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose first connection is given to `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError), server.accept()[0] as connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def test_a_certificate_that_is_not_trusted() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)

    def shake_hands(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    with listening(shake_hands) as port:
        error = submit_to(f"https://localhost:{port}")
    assert_never_left(error)
    assert "certificate" in error.message


@pytest.mark.parametrize("hello", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_tls_that_fails_before_the_request(hello: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(hello)

    with listening(answer) as port:
        assert_never_left(submit_to(f"https://localhost:{port}"))


def test_tls_that_fails_after_the_request_left() -> None:
    """S4: the same kind of exception as a bad certificate, but the provider has the request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    arrived: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        bare = connection.dup()
        with bare, context.wrap_socket(connection, server_side=True) as secure:
            arrived.append(secure.recv(4096))
            bare.sendall(b"HTTP/1.1 200 OK\r\n\r\nno longer TLS")

    with listening(answer) as port, closing(SegmindClient(f"https://localhost:{port}", KEY)) as client:
        client._transport._session.verify = str(CERTIFICATE)
        assert_may_have_arrived(failure(client.list))
    assert b"GET /finetune/request/list" in arrived[0]
