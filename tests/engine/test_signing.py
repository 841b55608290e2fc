"""No altered URL is honoured (P16): a property of the signing alone, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_portal.engine.storage import keys, signing
from tests.examples import examples

SECRET = "a secret"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = keys.new_upload("hats.zip")
OTHER_KEY = keys.new_upload("hats.zip")
UPLOAD = signing.upload_query(SECRET, KEY, NOW, 3600)
DOWNLOAD = signing.download_query(SECRET, KEY, NOW, 3600)
QUERIES = {"PUT": UPLOAD, "GET": DOWNLOAD, "HEAD": DOWNLOAD}


def allowed(method: str, key: str, query: str, now: datetime = NOW, secret: str = SECRET) -> bool:
    try:
        signing.check(secret, method, key, query, now)
    except signing.AccessDeniedError:
        return False
    return True


@pytest.mark.parametrize("method", QUERIES)
def test_it_is_honoured_until_it_expires(method: str) -> None:
    query = QUERIES[method]
    assert allowed(method, KEY, query)
    assert allowed(method, KEY, query, NOW + timedelta(seconds=3599))
    assert not allowed(method, KEY, query, NOW + timedelta(seconds=3600))
    assert not allowed(method, OTHER_KEY, query)
    assert not allowed(method, KEY, query, secret="another")


@settings(max_examples=examples(500), deadline=None)
@given(st.sampled_from(["PUT", "GET"]), st.data())
def test_no_altered_field_is_honoured(method: str, data: st.DataObject) -> None:
    fields = dict(parse_qsl(QUERIES[method]))
    name = data.draw(st.sampled_from(sorted(fields)))
    value = data.draw(st.text() | st.from_regex(r"[0-9]{1,12}") | st.just(fields[name].swapcase()))
    altered = urlencode(fields | {name: value}, errors="surrogatepass")
    assert allowed(method, KEY, altered) == (value == fields[name])


@settings(max_examples=examples(300), deadline=None)
@given(st.sampled_from(["PUT", "GET", "HEAD", "POST", "DELETE", "put"]), st.text(max_size=200))
def test_no_other_query_is_honoured(method: str, query: str) -> None:
    assert not allowed(method, KEY, query)


@settings(max_examples=examples(300), deadline=None)
@given(st.text(max_size=300))
def test_a_key_is_always_of_a_known_form(name: str) -> None:
    key = keys.new_upload(name)
    assert keys.is_valid(key)
    assert keys.from_url(keys.url("http://127.0.0.1", key)) == key
    assert not keys.is_valid(name)
    assert ".." not in key.split("/")
