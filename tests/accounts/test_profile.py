"""The own account: name, password, and the browsers that are signed in."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.jobs.live.stream import Viewer, signed_out
from finetune_portal.web.asgi import signed_in_user
from tests.people import HTMX, PASSWORD, signed_in

COOKIE = settings.SESSION_COOKIE_NAME

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
NEW = "a brand new battery"


def sign_in_from(user: User, user_agent: str) -> Client:
    client = Client(headers={"User-Agent": user_agent})
    client.post("/login/", {"username": user.email, "password": PASSWORD})
    assert client.get("/").status_code == 200
    return client


def headers(client: Client) -> dict[str, str]:
    return {"cookie": f"{COOKIE}={client.cookies[COOKIE].value}"}


def test_the_profile_lists_where_one_is_signed_in(alice: User, bob: User) -> None:
    sign_in_from(bob, FIREFOX)
    sign_in_from(alice, FIREFOX)
    html = sign_in_from(alice, CHROME).get("/profile/").content.decode()
    assert html.count("Firefox on Linux") == 2  # shown, and named on its button
    assert html.count("Chrome on Windows") == 1
    assert html.count("This browser") == 1
    assert "127.0.0.1" in html


def test_one_browser_is_signed_out(alice: User) -> None:
    lost, mine = sign_in_from(alice, FIREFOX), sign_in_from(alice, CHROME)
    session = UserSession.objects.get(user_agent=FIREFOX)
    mine.post(f"/profile/sessions/{session.pk}/end/")
    assert lost.get("/").headers["Location"].startswith("/login/")
    assert mine.get("/").status_code == 200
    assert AuditEvent.objects.latest("pk").action == "session.ended"


def test_the_session_of_another_user_is_not_found(alice: User, bob: User) -> None:
    hers = sign_in_from(alice, FIREFOX)
    session = UserSession.objects.get(user=alice)
    assert signed_in(bob).post(f"/profile/sessions/{session.pk}/end/").status_code == 404
    assert hers.get("/").status_code == 200


def test_signing_out_everywhere_ends_pages_uploads_and_streams(alice: User) -> None:
    others, mine = [sign_in_from(alice, FIREFOX) for _ in range(3)], sign_in_from(alice, CHROME)
    viewers = [Viewer(alice, headers(client)) for client in (*others, mine)]
    mine.post("/profile/sessions/end/")
    assert [client.get("/").status_code for client in others] == [302, 302, 302]
    assert [signed_in_user(headers(client)) for client in others] == [None, None, None]
    assert signed_out(viewers) == viewers[:3]
    assert mine.get("/").status_code == 200
    event = AuditEvent.objects.latest("pk")
    assert (event.action, event.detail["sessions"]) == ("session.ended", 3)


def test_a_new_password_keeps_this_browser_and_ends_the_others(alice: User) -> None:
    other, mine = sign_in_from(alice, FIREFOX), sign_in_from(alice, CHROME)
    answer = mine.post("/profile/password/", {"current": PASSWORD, "password": NEW})
    assert answer.headers["Location"] == "/profile/"
    assert other.get("/").status_code == 302
    assert mine.get("/").status_code == 200
    event = AuditEvent.objects.latest("pk")
    assert (event.action, event.actor, event.detail["sessions"]) == ("account.password", alice, 1)
    assert NEW not in str(event.detail)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"current": "wrong", "password": NEW}, "not your current password"),
        ({"current": PASSWORD, "password": "short"}, "at least 12 characters"),
        ({"current": PASSWORD, "password": "alice@example.com"}, "too similar"),
    ],
)
def test_an_invalid_password_has_an_error_and_nothing_changes(
    data: dict[str, str], words: str, alice: User
) -> None:
    answer = signed_in(alice).post("/profile/password/", data)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_a_stolen_session_does_not_find_out_the_password(alice: User) -> None:
    """Wrong ones count as at a sign-in, and then the right one is refused, too."""
    client = signed_in(alice)
    fields = {"current": "a wrong password", "password": "staple battery horse"}
    answers = [client.post("/profile/password/", fields).status_code for _ in range(5)]
    assert answers == [422, 422, 422, 422, 429]
    assert client.post("/profile/password/", fields | {"current": PASSWORD}).status_code == 429
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_the_audit_record_has_the_old_and_the_new_name(alice: User) -> None:
    client = signed_in(alice)
    html = client.post("/profile/", {"name": "Alice Liddell", "role": "admin"}, follow=True).content.decode()
    assert "Alice Liddell" in html
    alice.refresh_from_db()
    assert alice.role == "maker"
    event = AuditEvent.objects.get()
    assert (event.detail["before"], event.detail["after"]) == ("Alice", "Alice Liddell")
    answer = client.post("/profile/", {"name": ""})
    assert answer.status_code == 422
    assert "required" in answer.content.decode()


def test_polling_is_no_activity(alice: User) -> None:
    client = signed_in(alice)
    client.get("/jobs/table/", headers=HTMX)
    alice.refresh_from_db()
    assert alice.last_seen_at is None
    client.get("/")
    alice.refresh_from_db()
    assert alice.last_seen_at


def test_last_seen_is_written_once_in_five_minutes(alice: User, django_assert_num_queries: Any) -> None:
    client = signed_in(alice)
    client.get("/profile/second-factor/")
    with django_assert_num_queries(5):  # session, person, their factors, the banner’s state, the bell
        client.get("/profile/second-factor/")


def test_the_menu_leads_to_the_profile_and_the_bar_to_the_team(alice: User) -> None:
    html = signed_in(alice).get("/").content.decode()
    assert 'href="/profile/"' in html
    assert 'href="/team/"' in html
