"""Replicate's messages at the end of a job: only what it signed lately is one, also after a new secret."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from finetune_portal.providers.contract import WebhookEvent
from finetune_portal.providers.errors import SignatureError, UnreachableError
from finetune_portal.providers.http import signing_keys
from finetune_portal.providers.replicate import ReplicateAdapter, webhooks
from tests.provider import says
from tests.providers.failures import failure
from tests.providers.replicate.conftest import account, only_job, request_for, uploaded
from tests.replicate.server import FakeReplicate
from tests.replicate.webhooks import message, signed

Message = tuple[dict[str, str], bytes]


def verified(adapter: ReplicateAdapter, message: Message, *, late: float = 0) -> WebhookEvent:
    """The event of a message that came now, or so many seconds ago."""
    return adapter.verify_webhook(*message, datetime.now(UTC) - timedelta(seconds=late))


@pytest.fixture(autouse=True)
def no_known_secrets() -> Iterator[None]:
    webhooks.SECRETS.clear()
    yield
    webhooks.SECRETS.clear()


@pytest.fixture
def delivery(replicate: FakeReplicate, adapter: ReplicateAdapter) -> Message:
    """Headers and body of the message about a job that has ended."""
    adapter.submit(request_for(uploaded(adapter)))
    replicate.finish(only_job(replicate))
    return message(replicate, only_job(replicate))


def test_a_message_names_its_job(
    replicate: FakeReplicate, adapter: ReplicateAdapter, delivery: Message
) -> None:
    assert verified(adapter, delivery) == WebhookEvent(only_job(replicate).id, "succeeded")
    headers = {name.title(): value for name, value in delivery[0].items()}
    headers["Webhook-Signature"] = f"v2,AAAA v1,AAAA {headers['Webhook-Signature']}"
    assert verified(adapter, (headers, delivery[1])).status == "succeeded"
    assert len(replicate.sent("secret")) == 1  # kept for a day


def test_a_forged_altered_or_unsigned_message_is_refused(
    replicate: FakeReplicate, adapter: ReplicateAdapter, delivery: Message
) -> None:
    headers, body = delivery
    replicate.webhook_is_forged = True
    forged = message(replicate, only_job(replicate))
    replicate.webhook_is_forged = False
    messages = [
        forged,
        (headers, body + b" "),
        ({**headers, "webhook-id": "msg_another"}, body),
        ({**headers, "webhook-id": ""}, body),
        ({**headers, "webhook-signature": "v1,zz*"}, body),
        ({**headers, "webhook-signature": headers["webhook-signature"].replace("v1,", "v2,")}, body),
        ({**headers, "webhook-signature": headers["webhook-signature"].removeprefix("v1,")}, body),
        ({**headers, "webhook-signature": ""}, body),
        ({}, body),
        (signed(replicate, b'{"status": "succeeded"}'), b'{"status": "succeeded"}'),  # of no job
    ]
    for each in messages:
        assert type(failure(lambda each=each: verified(adapter, each, late=1))) is SignatureError
    assert verified(adapter, delivery)


@pytest.mark.parametrize(("age", "is_accepted"), [(290, True), (310, False), (-290, True), (-310, False)])
def test_a_message_is_of_the_last_five_minutes(
    replicate: FakeReplicate, adapter: ReplicateAdapter, delivery: Message, age: float, is_accepted: bool
) -> None:
    replicate.webhook_age = age
    sent = message(replicate, only_job(replicate))
    if is_accepted:
        assert verified(adapter, sent)
    else:
        assert "too long ago" in failure(lambda: verified(adapter, sent)).message
    assert verified(adapter, sent, late=age), "what counts is when it came"


def test_a_new_secret_is_fetched_once_for_a_signature_that_none_explains(
    replicate: FakeReplicate, adapter: ReplicateAdapter, delivery: Message
) -> None:
    verified(adapter, delivery)
    replicate.rotate_webhook_key()
    assert verified(adapter, message(replicate, only_job(replicate)))
    assert len(replicate.sent("secret")) == 2
    replicate.webhook_is_forged = True
    for _ in range(3):  # strangers cause no further calls for a minute
        failure(lambda: verified(adapter, message(replicate, only_job(replicate))))
    assert len(replicate.sent("secret")) == 2


def test_a_secret_is_of_one_account_and_kept_for_a_day_at_most(
    replicate: FakeReplicate,
    adapter: ReplicateAdapter,
    delivery: Message,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verified(adapter, delivery)
    with FakeReplicate() as other:
        other.key = "r8_of-another-account"
        theirs = ReplicateAdapter(account(other))
        assert type(failure(lambda: verified(theirs, delivery))) is SignatureError
    monkeypatch.setattr(signing_keys, "KEEP", 0)
    verified(adapter, delivery)
    assert len(replicate.sent("secret")) == 2


def test_a_secret_that_cannot_be_fetched_does_not_make_a_message_a_forgery(
    replicate: FakeReplicate, adapter: ReplicateAdapter, delivery: Message
) -> None:
    replicate.stop()
    assert type(failure(lambda: verified(adapter, delivery))) is UnreachableError
    replicate.start()
    for key in ("", "whsec_", "whsec_*", None, 5):
        replicate.script("secret", says(200, {"key": key}))
        assert "without a key" in failure(lambda: verified(adapter, delivery)).message
    assert verified(adapter, delivery)
