"""How a session ends by itself: nobody used it for a while, or its sign-in is long ago (R7).

An hour instead of the eight that are usual, so that both ends can be told apart.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts import sessions
from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.web.asgi import signed_in_user
from tests.people import HTMX, PASSWORD, signed_in


@pytest.fixture(autouse=True)
def an_idle_hour_is_the_limit(settings: Any) -> None:
    settings.SESSION_IDLE_SECONDS = 3600
    cache.clear()


def pass_by(client: Client, span: timedelta) -> None:
    """As if all of this session had been so long ago."""
    session = client.session
    rows = Session.objects.filter(session_key=session.session_key)
    ends = rows.get().expire_date
    session["began"] -= span.total_seconds()
    session.save()
    rows.update(expire_date=ends - span)
    cache.clear()


def is_in(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


def headers(client: Client) -> dict[str, str]:
    return {"cookie": f"sessionid={client.cookies['sessionid'].value}"}


def test_it_ends_after_an_hour_in_which_nobody_did_anything(alice: User) -> None:
    client = signed_in(alice)
    pass_by(client, timedelta(minutes=55))
    assert is_in(client)
    pass_by(client, timedelta(minutes=55))
    assert is_in(client)
    pass_by(client, timedelta(minutes=61))
    assert not is_in(client)
    assert signed_in_user(headers(client)) is None


def test_a_page_that_asks_by_itself_does_not_keep_it(alice: User) -> None:
    client = signed_in(alice)
    pass_by(client, timedelta(minutes=50))
    assert client.get("/jobs/table/", headers=HTMX).status_code == 200
    assert signed_in_user(headers(client)) == alice  # the live stream
    pass_by(client, timedelta(minutes=11))
    assert not is_in(client)


def test_an_upload_keeps_it(alice: User) -> None:
    """Its pieces come for hours, and nobody touches the page."""
    client = signed_in(alice)
    pass_by(client, timedelta(minutes=50))
    assert signed_in_user(headers(client), acts=True) == alice
    pass_by(client, timedelta(minutes=50))
    assert is_in(client)


def test_after_twelve_hours_it_ends_in_any_case(alice: User) -> None:
    client = signed_in(alice)
    for _ in range(14):
        pass_by(client, timedelta(minutes=50))
        assert is_in(client)
    pass_by(client, timedelta(minutes=21))
    assert not is_in(client)


def test_an_operator_may_set_both(alice: User, settings: Any) -> None:
    settings.SESSION_IDLE_SECONDS = 8 * 3600  # the default
    client = signed_in(alice)
    assert Session.objects.get().expire_date > now() + timedelta(hours=7)
    settings.SESSION_COOKIE_AGE = 3600
    client.session.save()
    assert Session.objects.get().expire_date < now() + timedelta(hours=2)


def test_each_sign_in_and_each_proof_gives_another_key(alice: User) -> None:
    """A key that someone planted, or saw before, opens nothing."""
    client = Client()
    client.get("/login/")
    client.cookies["sessionid"] = "planted" * 4
    client.post("/login/", {"username": alice.email, "password": PASSWORD})
    first = client.cookies["sessionid"].value
    assert first != "planted" * 4
    client.post("/profile/confirm/?next=/profile/", {"password": PASSWORD})
    second = client.cookies["sessionid"].value
    assert second != first
    assert signed_in_user({"cookie": f"sessionid={first}"}) is None
    assert list(UserSession.objects.values_list("session_key", flat=True)) == [second]
    assert is_in(client)


def test_signing_out_ends_it_and_is_in_the_record(alice: User) -> None:
    client = signed_in(alice)
    kept = headers(client)
    client.post("/logout/")
    assert signed_in_user(kept) is None
    event = AuditEvent.objects.latest("pk")
    assert (event.actor, event.action, event.detail) == (alice, "session.ended", {"by": "sign-out"})


def test_what_has_ended_is_swept_away(alice: User, bob: User) -> None:
    ended, alive = signed_in(alice), signed_in(bob)
    assert is_in(ended)
    assert is_in(alive)
    pass_by(ended, timedelta(hours=2))
    AccessAttempt.objects.create(username="x", ip_address="127.0.0.1", failures_since_start=1)
    AccessAttempt.objects.update(attempt_time=now() - timedelta(days=2))
    assert sessions.delete_expired()
    assert not sessions.delete_expired()
    assert [row.user for row in UserSession.objects.all()] == [bob]
    assert not AccessAttempt.objects.exists()
    assert is_in(alive)
