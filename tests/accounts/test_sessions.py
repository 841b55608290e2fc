"""Sessions end when idle, and at a maximum age after the sign-in.

The idle limit is one hour here, not eight, so that the tests can tell the two limits apart.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts import services, sessions
from finetune_portal.accounts.models import User
from finetune_portal.accounts.session_store import key_of
from finetune_portal.audit.models import AuditEvent
from finetune_portal.web.asgi import signed_in_user
from tests.people import HTMX, PASSWORD, signed_in

COOKIE = settings.SESSION_COOKIE_NAME


@pytest.fixture(autouse=True)
def idle_limit_of_an_hour(settings: Any) -> None:
    settings.SESSION_IDLE_SECONDS = 3600


def age(client: Client, span: timedelta) -> None:
    """Move the whole session into the past."""
    session = client.session
    rows = Session.objects.filter(session_key=session.session_key)
    ends = rows.get().expire_date
    session["began"] -= span.total_seconds()
    session.save()
    rows.update(expire_date=ends - span)
    caches["process"].clear()  # of when it was last seen


def is_signed_in(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


def headers(client: Client) -> dict[str, str]:
    return {"cookie": f"{COOKIE}={client.cookies[COOKIE].value}"}


def test_an_idle_session_ends_after_an_hour(alice: User) -> None:
    client = signed_in(alice)
    age(client, timedelta(minutes=55))
    assert is_signed_in(client)
    age(client, timedelta(minutes=55))
    assert is_signed_in(client)
    age(client, timedelta(minutes=61))
    assert not is_signed_in(client)
    assert signed_in_user(headers(client)) is None


def test_polling_does_not_keep_a_session_alive(alice: User) -> None:
    client = signed_in(alice)
    age(client, timedelta(minutes=50))
    assert client.get("/jobs/table/", headers=HTMX).status_code == 200
    assert signed_in_user(headers(client)) == alice  # the live stream
    age(client, timedelta(minutes=11))
    assert not is_signed_in(client)


def test_an_upload_keeps_the_session_alive(alice: User) -> None:
    """Its chunks arrive for hours while nobody uses the page."""
    client = signed_in(alice)
    age(client, timedelta(minutes=50))
    assert signed_in_user(headers(client), acts=True) == alice
    age(client, timedelta(minutes=50))
    assert is_signed_in(client)


def test_a_session_ends_after_twelve_hours_in_any_case(alice: User) -> None:
    client = signed_in(alice)
    for _ in range(14):
        age(client, timedelta(minutes=50))
        assert is_signed_in(client)
    age(client, timedelta(minutes=21))
    assert not is_signed_in(client)


def test_both_limits_are_settings(alice: User, settings: Any) -> None:
    settings.SESSION_IDLE_SECONDS = 8 * 3600  # the default
    client = signed_in(alice)
    assert Session.objects.get().expire_date > now() + timedelta(hours=7)
    settings.SESSION_COOKIE_AGE = 3600
    client.session.save()
    assert Session.objects.get().expire_date < now() + timedelta(hours=2)


def test_each_sign_in_and_reauthentication_changes_the_key(alice: User) -> None:
    """A session key that someone planted or saw before is useless."""
    client = Client()
    client.get("/login/")
    client.cookies[COOKIE] = "planted" * 4
    client.post("/login/", {"username": alice.email, "password": PASSWORD})
    first = client.cookies[COOKIE].value
    assert first != "planted" * 4
    client.post("/profile/confirm/?next=/profile/", {"password": PASSWORD})
    second = client.cookies[COOKIE].value
    assert second != first
    assert signed_in_user({"cookie": f"{COOKIE}={first}"}) is None
    assert list(UserSession.objects.values_list("session_key", flat=True)) == [key_of(second)]
    assert is_signed_in(client)


def test_what_the_database_holds_is_no_cookie(alice: User) -> None:
    """Who reads a session's row, a log of queries or a backup cannot sign in by it."""
    client = signed_in(alice)
    client.get("/profile/")
    (session,) = Session.objects.all()
    token = client.cookies[COOKIE].value
    rows = (session.session_key, *UserSession.objects.values_list("session_key", flat=True))
    assert token not in str([*Session.objects.values(), *UserSession.objects.values()])
    assert len(rows) == 2
    for key in {*rows}:
        assert signed_in_user({"cookie": f"{COOKIE}={key}"}) is None
        other = Client()
        other.cookies[COOKIE] = key
        assert not is_signed_in(other)
    assert is_signed_in(client)


def test_signing_out_ends_the_session_and_is_audited(alice: User) -> None:
    client = signed_in(alice)
    kept = headers(client)
    answer = client.post("/logout/")
    assert answer.headers["Clear-Site-Data"] == '"cache"', "pictures are kept for a day"
    assert "Clear-Site-Data" not in client.get("/login/").headers
    assert signed_in_user(kept) is None
    event = AuditEvent.objects.latest("pk")
    assert (event.actor, event.action, event.detail) == (alice, "session.ended", {"by": "sign-out"})


def end_by_another_browser(person: User) -> None:
    signed_in(person).post("/profile/sessions/end/")


def change_password(person: User) -> None:
    data = {"current": PASSWORD, "password": "another long password of hers"}
    assert signed_in(person).post("/profile/password/", data).status_code == 302


@pytest.mark.parametrize(
    "end",
    [
        end_by_another_browser,
        change_password,
        lambda person: services.deactivate(person, actor=None),
        lambda person: Session.objects.all().delete(),
    ],
    ids=["another-browser", "new-password", "deactivated", "expired"],
)
def test_a_browser_whose_session_ended_elsewhere_forgets_the_pictures(
    alice: User, end: Callable[[User], object]
) -> None:
    client = signed_in(alice)
    assert is_signed_in(client)
    end(alice)
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Clear-Site-Data"]) == (302, '"cache"')
    assert client.cookies[COOKIE].value == "", "once"
    assert "Clear-Site-Data" not in client.get("/").headers


def test_ended_sessions_are_deleted(alice: User, bob: User) -> None:
    ended, alive = signed_in(alice), signed_in(bob)
    assert is_signed_in(ended)
    assert is_signed_in(alive)
    age(ended, timedelta(hours=2))
    AccessAttempt.objects.create(username="x", ip_address="127.0.0.1", failures_since_start=1)
    AccessAttempt.objects.update(attempt_time=now() - timedelta(days=2))
    assert sessions.delete_expired()
    assert not sessions.delete_expired()
    assert [row.user for row in UserSession.objects.all()] == [bob]
    assert not AccessAttempt.objects.exists()
    assert is_signed_in(alive)
