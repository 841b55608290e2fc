"""Signed deliveries, by Standard Webhooks: verified once a secret is set (W1, W12)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from finetune_portal.accounts.models import User
from finetune_portal.webhooks import checks, services, signature
from finetune_portal.webhooks.models import Delivery, Endpoint
from tests.conftest import StartEngine
from tests.engine.calling import started
from tests.engine.sink import listening
from tests.people import signed_in
from tests.waiting import until
from tests.webhooks.conftest import knock

KEY = b"a signing secret of 24 b"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
BODY = json.dumps({"finetune_id": "f-1", "status": "AVAILABLE"}).encode()


def signed(body: bytes = BODY, *, message: str = "msg-1", late: int = 0, key: bytes = KEY) -> dict[str, str]:
    """The headers of the standard, made by its text and not by the portal's library."""
    stamp = str(int(time.time()) - late)
    mac = hmac.new(key, f"{message}.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(mac).decode()}"
    return {"webhook-id": message, "webhook-timestamp": stamp, "webhook-signature": signature}


@pytest.fixture
def secret(settings: Any) -> None:
    settings.SEGMIND_WEBHOOK_SECRET = SECRET


def test_a_signed_one_comes_in(address: str, secret: None) -> None:
    assert knock(address, BODY, signed()) == 200
    assert Delivery.objects.get().request_id == "f-1"


def test_while_a_secret_is_changed_one_of_several_signatures_is_enough(address: str, secret: None) -> None:
    headers, others = signed(), signed(key=b"the secret that comes next")["webhook-signature"]
    headers["webhook-signature"] = f"v1a,abc {others} {headers['webhook-signature']}"
    assert knock(address, BODY, headers) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(key=b"another secret"),
        signed(b"another body"),
        signed() | {"webhook-id": "msg-2"},
        signed() | {"webhook-timestamp": "soon"},
        signed() | {"webhook-signature": "v1"},
        signed() | {"webhook-signature": "v1,\u00e4"},
        {name: value for name, value in signed().items() if name != "webhook-id"},
    ],
)
def test_what_is_not_rightly_signed_is_turned_away(
    address: str, secret: None, headers: dict[str, str], dana: User
) -> None:
    assert knock(address, BODY, headers) == 401
    assert not Delivery.objects.exists()
    assert "without the right signature was rejected" in page_of(dana), "an admin learns of it"


@pytest.mark.parametrize(("late", "status"), [(290, 200), (310, 401), (-310, 401)])
def test_an_old_one_or_one_of_the_future_is_turned_away(
    address: str, secret: None, late: int, status: int
) -> None:
    """W10: what was once overheard cannot be sent again for ever."""
    assert knock(address, BODY, signed(late=late)) == status


def test_bytes_that_are_no_text_are_turned_away(address: str, secret: None) -> None:
    assert knock(address, b"\xff\xfe", signed(b"\xff\xfe")) == 401


def test_the_same_message_again_is_answered_but_not_stored_again(address: str, secret: None) -> None:
    """W3: the sender tries again when our answer was lost."""
    for _ in range(3):
        assert knock(address, BODY, signed()) == 200
    assert knock(address, BODY, signed(message="msg-2")) == 200
    assert Delivery.objects.count() == 2


def test_without_a_secret_nobody_has_to_sign_and_no_header_is_believed(address: str) -> None:
    for _ in range(2):
        assert knock(address, BODY, {"webhook-id": "the id of the webhook, for all that is known"}) == 200
    assert Delivery.objects.count() == 2


def test_a_wrong_address_stays_unknown_whatever_is_signed(db: None, secret: None) -> None:
    assert knock(f"/hooks/segmind/{'x' * 43}/", BODY, signed()) == 404


@pytest.mark.parametrize("secret", [SECRET, "a plain secret"])
def test_the_engines_own_signature_is_understood(
    db: None, engines: StartEngine, secret: str, settings: Any
) -> None:
    """Two readings of one standard; its secret is for its own address only."""
    settings.ENGINE_WEBHOOK_SECRET = secret
    local = urlsplit(services.local_endpoint_url()).path
    with listening() as sink:
        started(engines(ENGINE_WEBHOOK_URL=f"{sink.url}/", ENGINE_WEBHOOK_SECRET=secret))
        until(lambda: sink.seen)
    sent = sink.seen[0]
    assert knock(local, sent.body, sent.headers) == 200
    assert knock(local, sent.body.replace(b"hats", b"cats"), sent.headers) == 401
    assert Endpoint.objects.get().last_unsigned_at


@pytest.mark.parametrize(
    ("value", "is_usable"), [(SECRET, True), ("plain", True), ("whsec_", False), ("whsec_a", False)]
)
def test_a_secret_that_cannot_be_one_stops_the_start(value: str, is_usable: bool, settings: Any) -> None:
    settings.SEGMIND_WEBHOOK_SECRET = value
    assert [message.id for message in checks.webhook_secret()] == ([] if is_usable else ["portal.E004"])


names = st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "Webhook-Id"])
latin = st.text(st.characters(max_codepoint=255), max_size=30)
words = latin | st.sampled_from(["v1,", "v1,=", "nan", "1e400", "-1", "1", " v1,a b", "v1,a,b"])


@limits(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(names, words), st.binary(max_size=40))
def test_odd_headers_are_just_not_right(headers: dict[str, str], body: bytes) -> None:
    assert not signature.is_right(SECRET, headers, body)


def page_of(admin: User) -> str:
    return signed_in(admin).get("/settings/webhooks/").content.decode()
