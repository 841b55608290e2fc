"""The portal's cookies have names of its own; those of version 0.1 are read for one release."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.web.asgi import signed_in_user
from tests.cookies import csrf_cookie, session_cookie
from tests.people import PASSWORD, signed_in

pytestmark = pytest.mark.django_db


def test_two_portals_on_one_host_have_other_names() -> None:
    urls = ("http://box:8000", "http://box:8001", "http://box:8000/portal", "https://box")
    assert len({name(url) for url in urls for name in (session_cookie, csrf_cookie)}) == 8
    assert session_cookie(settings.PORTAL_URL) == settings.SESSION_COOKIE_NAME


def test_a_sign_in_sets_no_cookie_that_another_django_has(alice: User) -> None:
    client = Client()
    client.cookies["sessionid"] = "of-another-django"
    client.get("/login/")
    client.post("/login/", {"username": alice.email, "password": PASSWORD})
    assert client.cookies["sessionid"].value == "of-another-django"
    assert "csrftoken" not in client.cookies
    assert client.get("/profile/").status_code == 200


def test_a_session_by_the_old_name_goes_on_by_the_new_one(alice: User) -> None:
    session = signed_in(alice).cookies[settings.SESSION_COOKIE_NAME].value
    client = Client()
    client.cookies["sessionid"] = session
    assert alice.email in client.get("/profile/").content.decode()
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == (session, True, "Lax")
    assert signed_in_user({"cookie": f"sessionid={session}"}) == alice


def test_the_old_name_does_not_sign_in_again_after_a_sign_out(alice: User) -> None:
    session = signed_in(alice).cookies[settings.SESSION_COOKIE_NAME].value
    client = Client()
    client.cookies["sessionid"] = session
    client.get("/profile/")
    client.post("/logout/")
    assert client.get("/profile/").status_code == 302
    assert signed_in_user({"cookie": f"sessionid={session}"}) is None


def test_the_new_name_wins(alice: User, bob: User) -> None:
    client: Any = signed_in(alice)
    client.cookies["sessionid"] = signed_in(bob).cookies[settings.SESSION_COOKIE_NAME].value
    assert alice.email in client.get("/profile/").content.decode()
