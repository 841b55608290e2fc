"""Internal functions of allauth that the portal calls: an update that changes one fails here.

allauth has no public API for the counters of TOTP codes, or for a sign-in whose password is already checked.
"""

from __future__ import annotations

import base64
import inspect
import time

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import perform_password_login
from allauth.mfa.totp.internal import auth
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from tests.people import PASSWORD

RFC_6238_SECRET = base64.b32encode(b"12345678901234567890").decode()
RFC_6238_CODES = {1: "287082", 37037036: "081804", 37037037: "050471", 41152263: "005924"}


def test_a_code_belongs_to_its_counter() -> None:
    """The vectors of RFC 6238, appendix B, in the six digits that apps show."""
    codes = {
        counter: auth.format_hotp_value(auth.hotp_value(RFC_6238_SECRET, counter))
        for counter in RFC_6238_CODES
    }
    assert codes == RFC_6238_CODES


def test_the_accepted_counters_are_now_and_one_on_either_side() -> None:
    before = int(time.time()) // 30
    counters = list(auth.yield_hotp_counters_from_time())
    after = int(time.time()) // 30
    assert counters in ([now - 1, now, now + 1] for now in (before, after))


def test_a_sign_in_records_the_password(alice: User) -> None:
    assert list(inspect.signature(perform_password_login).parameters) == ["request", "credentials", "login"]
    answer = Client().post("/login/", {"username": alice.email, "password": PASSWORD, "next": "/datasets/"})
    assert answer.headers["Location"] == "/datasets/"
    (record,) = get_authentication_records(answer.wsgi_request, alice)
    assert record["method"] == "password"
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.detail) == (alice, "session.began", {"by": "password"})
