"""Whatever a provider answers, a call gives a typed value or a CallError (docs/reliability.md, 4: B4)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_portal.providers.errors import CallError
from finetune_portal.providers.segmind import (
    Capabilities,
    Credits,
    FineTune,
    PresignedUpload,
    Progress,
    RunRequest,
    SegmindClient,
    StoredObject,
    Submitted,
)
from tests.examples import examples
from tests.memory import Watch
from tests.provider import CALLS, KEY, PICTURE, Answer, ScriptedProvider, raw
from tests.providers.segmind.conftest import SUBMIT

CONTRACT = Path(__file__).resolve().parents[2] / "contract"
EXAMPLES = examples(80)  # for each of three tests and each method; over 1,000 in `make test-slow`
RUN = RunRequest("a prompt", "https://h/a.png", 1.0, 1, 28, 2.5)
SIGNED = "/storage/a.zip?X-Amz-Signature=a"
NAMES = """id finetune_id request_id name status finetune presigned_url s3_url credits free-credits url error
    message detail advance_parameters model_information steps learning_rate public_model slug version can
    percent step ahead seconds_left memory_bytes loss held_out samples"""
HEADERS = """Content-Length Content-Encoding Transfer-Encoding Retry-After Location Set-Cookie Connection
    Content-Type ETag x-remaining-credits"""

METHODS: dict[str, tuple[type, Callable[[SegmindClient, str], object]]] = {
    "submit": (Submitted, lambda client, url: client.submit(SUBMIT)),
    "details": (FineTune, lambda client, url: client.details("job")),
    "list": (list, lambda client, url: client.list()),
    "presigned_url": (PresignedUpload, lambda client, url: client.presigned_url("hats")),
    "set_public": (type(None), lambda client, url: client.set_public("job", public=True)),
    "download_url": (str, lambda client, url: client.download_url("https://h/w.safetensors")),
    "credits": (Credits, lambda client, url: client.credits()),
    "extra": (Capabilities, lambda client, url: client.extension.capabilities()),
    "progress": (Progress, lambda client, url: client.extension.progress("job")),
    "sample": (int, lambda client, url: len(client.extension.picture("job", "1"))),
    "cancel": (bool, lambda client, url: client.extension.cancel("job")),
    "delete": (type(None), lambda client, url: client.extension.delete_job("job")),
    "host": (str, lambda client, url: client.inference.upload_image(PICTURE)),
    "run": (int, lambda client, url: len(client.inference.run("slug", RUN))),
    "upload": (StoredObject, lambda client, url: client.upload(url + SIGNED, io.BytesIO(b"PK"), 2)),
}

watch = Watch()
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["uuid", "AVAILABLE", "https://h/x?Signature=a", "True", "12.5", '{"steps": 1e999}']),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(NAMES.split()) | st.text(max_size=5), inner, max_size=5),
    ),
    max_leaves=12,
)
documents = (
    st.dictionaries(st.sampled_from(NAMES.split()), values, max_size=8)
    | st.lists(values, max_size=4)
    | values
)
statuses = st.just(200) | st.sampled_from([201, 204, 301, 304, 400, 401, 406, 410, 422, 429, 500, 503])
header_values = st.one_of(
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40).map(
        lambda value: value.encode("latin-1")
    ),
    st.sampled_from(
        [b"0", b"-1", b"5", b"chunked", b"gzip", b"identity", b"9" * 30, b"http://[", b"a=b; Max-Age=x"]
    ),
)


@pytest.fixture(scope="module")
def hostile() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def flat_memory(say: Callable[[str], None]) -> Iterator[None]:
    """48 MiB at most (bar 4)."""
    yield
    say(watch.summary("hostile answers"))
    assert watch.grown <= 48


def assert_typed(value: object) -> None:
    """Each field holds what its annotation says, and a database can keep it."""
    if isinstance(value, list):
        for item in value:
            assert_typed(item)
    elif is_dataclass(value):
        hints = get_type_hints(type(value))
        for field in fields(value):
            hint, content = hints[field.name], getattr(value, field.name)
            origin = get_origin(hint)
            assert isinstance(content, hint if origin in (None, UnionType) else origin), field.name
            assert_kept(content)
    else:
        assert_kept(value)


def assert_kept(value: object) -> None:
    plain = sorted(value) if isinstance(value, frozenset) else value
    written = json.dumps(plain, allow_nan=False, ensure_ascii=False).encode()
    assert b"\\u0000" not in written.replace(b"\\\\", b"")


def assert_answered(provider: ScriptedProvider, method: str, answer: Answer) -> None:
    kind, call = METHODS[method]
    provider.requests.clear()
    provider.script(method, answer)
    watch.look(method)
    result: object = None
    error_text = ""
    with closing(SegmindClient(provider.url, KEY, max_seconds=5)) as client:
        try:
            result = call(client, provider.url)
        except CallError as exc:
            error_text = f"{exc.message} {exc!r} {exc.detail}"
    assert KEY not in error_text
    if not error_text:
        assert isinstance(result, kind)
        assert_typed(result)
    assert len(provider.requests) == 1, "it was asked twice, or not at all"


def test_every_call_is_here() -> None:
    assert set(METHODS) == {*CALLS.values(), "upload", "run"}


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(status=statuses, payload=documents)
def test_any_json(hostile: ScriptedProvider, method: str, status: int, payload: Any) -> None:
    body = b"" if status in (204, 304) else json.dumps(payload).encode()
    assert_answered(hostile, method, Answer(status, body, taken=False))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_any_bytes(hostile: ScriptedProvider, method: str, data: st.DataObject) -> None:
    """Bytes, and the page's own sample with a piece taken out or put in."""
    whole = data.draw(st.sampled_from([path.read_bytes() for path in sorted(CONTRACT.glob("*.*"))]))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    body = whole[:start] + data.draw(st.binary(max_size=40)) + whole[end:]
    body = data.draw(st.sampled_from([body, body[:end], data.draw(st.binary(max_size=200))]))
    assert_answered(hostile, method, Answer(200, body, taken=False))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    status=statuses,
    headers=st.lists(st.tuples(st.sampled_from(HEADERS.split()), header_values), max_size=4),
    body=st.binary(max_size=60) | documents.map(lambda payload: json.dumps(payload).encode()),
    line=st.sampled_from(
        [b"HTTP/1.1 %d OK\r\n", b"HTTP/1.0 %d\r\n", b"HTTP/2 %d\r\n", b"%d\r\n", b"HTTP/1.1 %d9\n"]
    ),
)
def test_any_headers(  # the whole answer is made by hand
    hostile: ScriptedProvider,
    method: str,
    status: int,
    headers: list[tuple[str, bytes]],
    body: bytes,
    line: bytes,
) -> None:
    head = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers)
    assert_answered(hostile, method, raw(line % status + head + b"\r\n" + body))
