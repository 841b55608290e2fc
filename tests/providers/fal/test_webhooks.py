"""fal's messages at the end of a job: only what it signed lately is one, also after it changed its keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests

from finetune_portal.providers.contract import WebhookEvent
from finetune_portal.providers.errors import InvalidResponseError, SignatureError, UnreachableError
from finetune_portal.providers.fal import PROVIDER, FalAdapter, webhooks
from finetune_portal.providers.http import signing_keys
from tests.fal.server import FakeFal
from tests.fal.webhooks import message, signed
from tests.provider import says
from tests.providers.fal.conftest import failure, only_job, request_for, uploaded


@pytest.fixture(autouse=True)
def no_known_keys() -> Iterator[None]:
    webhooks.KEYS.clear()
    yield
    webhooks.KEYS.clear()


@pytest.fixture
def delivery(fal: FakeFal, adapter: FalAdapter) -> tuple[dict[str, str], bytes]:
    """Headers and body of the message about a job that has ended."""
    adapter.submit(request_for(uploaded(adapter)))
    fal.finish(only_job(fal))
    return message(fal, only_job(fal))


Message = tuple[dict[str, str], bytes]


def verified(adapter: FalAdapter, message: Message, *, late: float = 0) -> WebhookEvent:
    """The event of a message that came now, or so many seconds ago."""
    return adapter.verify_webhook(*message, datetime.now(UTC) - timedelta(seconds=late))


def test_a_message_of_fal_names_its_job(fal: FakeFal, adapter: FalAdapter, delivery: Message) -> None:
    assert verified(adapter, delivery) == WebhookEvent(only_job(fal).id, "OK")
    lower = {name.lower(): value for name, value in delivery[0].items()}
    kept = {name: value for name, value in lower.items() if name in PROVIDER.webhook_headers}
    assert verified(adapter, (kept, delivery[1])).status == "OK"
    assert len(fal.sent("jwks")) == 1  # kept for a day


def test_a_forged_altered_or_unsigned_message_is_refused(
    fal: FakeFal, adapter: FalAdapter, delivery: Message
) -> None:
    headers, body = delivery
    other = json.dumps({"request_id": "another", "status": "OK"}).encode()
    fal.webhook_is_forged = True
    messages = [
        message(fal, only_job(fal)),
        (headers, body + b" "),
        ({**headers, "X-Fal-Webhook-Request-Id": "another"}, body),
        ({**headers, "X-Fal-Webhook-User-Id": "another"}, body),
        ({**headers, "X-Fal-Webhook-Signature": "zz"}, body),
        ({**headers, "X-Fal-Webhook-User-Id": "\ud800"}, body),
        ({**headers, "X-Fal-Webhook-Signature": ""}, body),
        ({}, body),
    ]
    fal.webhook_is_forged = False
    messages.append((signed(fal, only_job(fal).id, other), other))  # of another job than the signed one
    for odd in (b"{", b"[]", b"\0", b"\xff"):
        messages.append((signed(fal, only_job(fal).id, odd), odd))
    for each in messages:
        assert type(failure(lambda each=each: verified(adapter, each, late=1))) is SignatureError
    assert verified(adapter, delivery)
    assert len(fal.sent("jwks")) == 1, "the keys are younger than the messages"


def test_an_id_that_no_column_holds_is_no_job(fal: FakeFal, adapter: FalAdapter) -> None:
    body = json.dumps({"request_id": "i" * 101, "status": "OK"}).encode()
    assert type(failure(lambda: verified(adapter, (signed(fal, "i" * 101, body), body)))) is SignatureError


@pytest.mark.parametrize(("age", "is_accepted"), [(290, True), (310, False), (-290, True), (-310, False)])
def test_a_message_is_of_the_last_five_minutes(
    fal: FakeFal, adapter: FalAdapter, delivery: Message, age: float, is_accepted: bool
) -> None:
    fal.webhook_age = age
    sent = message(fal, only_job(fal))
    if is_accepted:
        assert verified(adapter, sent)
    else:
        assert "too long ago" in failure(lambda: verified(adapter, sent)).message


def test_what_counts_is_when_a_message_came_and_not_when_it_is_looked_at(
    fal: FakeFal, adapter: FalAdapter, delivery: Message
) -> None:
    fal.webhook_age = 3600
    assert verified(adapter, message(fal, only_job(fal)), late=3590)


def test_new_keys_are_fetched_once_for_a_signature_that_none_explains(
    fal: FakeFal, adapter: FalAdapter, delivery: Message
) -> None:
    verified(adapter, delivery)
    fal.rotate_webhook_key(drop_old=True)
    assert verified(adapter, message(fal, only_job(fal)))
    assert len(fal.sent("jwks")) == 2
    fal.webhook_is_forged = True
    for _ in range(3):  # strangers cause no further calls for a minute
        failure(lambda: verified(adapter, message(fal, only_job(fal))))
    assert len(fal.sent("jwks")) == 2


def test_a_forgery_does_not_make_one_of_the_next_key_of_fal_look_forged(
    fal: FakeFal, adapter: FalAdapter, delivery: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified(adapter, delivery)
    fal.webhook_is_forged = True
    assert type(failure(lambda: verified(adapter, message(fal, only_job(fal))))) is SignatureError
    fal.webhook_is_forged = False
    fal.rotate_webhook_key(drop_old=True)
    genuine = message(fal, only_job(fal))
    assert type(failure(lambda: verified(adapter, genuine))) is InvalidResponseError, "not yet"
    monkeypatch.setattr(signing_keys, "PAUSE", 0)
    assert verified(adapter, genuine)


def test_keys_are_kept_for_a_day_at_most(
    fal: FakeFal, adapter: FalAdapter, delivery: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert signing_keys.KEEP == 24 * 3600
    verified(adapter, delivery)
    monkeypatch.setattr(signing_keys, "KEEP", 0)
    verified(adapter, delivery)
    assert len(fal.sent("jwks")) == 2


def test_keys_that_cannot_be_fetched_do_not_make_a_message_a_forgery(
    fal: FakeFal, adapter: FalAdapter, delivery: Message
) -> None:
    fal.stop()
    assert type(failure(lambda: verified(adapter, delivery))) is UnreachableError
    fal.start()
    rows = [{"kty": "RSA", "n": "AQAB"}, {"x": "short"}, {"x": "ä"}, 5]
    for keys in ([], rows, None):
        fal.script("jwks", says(200, {"keys": keys}))
        assert "without a key" in failure(lambda: verified(adapter, delivery)).message
    assert verified(adapter, delivery)


def test_a_list_of_keys_without_an_end_is_read_in_part(
    fal: FakeFal, adapter: FalAdapter, delivery: Message
) -> None:
    """Each would be tried for each forgery."""
    other = {"kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    right = requests.get(f"{fal.rest_url}/.well-known/jwks.json", timeout=10).json()["keys"]
    fal.script("jwks", says(200, {"keys": [other] * webhooks.MOST_KEYS + right}))
    assert type(failure(lambda: verified(adapter, delivery))) is SignatureError
    webhooks.KEYS.clear()
    assert verified(adapter, delivery).id == only_job(fal).id
