"""Light or dark is kept in the browser that chose it, and each page says which."""

from __future__ import annotations

import pytest
from django.conf import settings

from finetune_portal.accounts.models import User
from tests.people import HTMX, signed_in


def test_a_page_follows_the_system_until_somebody_chooses(alice: User) -> None:
    client = signed_in(alice)
    assert '<html lang="en" data-look="system">' in client.get("/profile/").content.decode()
    answer = client.post("/look/", {"look": "dark"}, headers={"Referer": "http://testserver/datasets/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://testserver/datasets/")
    cookie = answer.cookies[settings.LOOK_COOKIE_NAME]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    page = client.get("/profile/").content.decode()
    assert '<html lang="en" data-look="dark">' in page
    assert 'value="dark" aria-pressed="true"' in page
    client.post("/look/", {"look": "system"})
    assert 'data-look="system"' in client.get("/profile/").content.decode()


def test_the_sign_in_page_has_it_too(alice: User) -> None:
    client = signed_in(alice)
    client.post("/look/", {"look": "light"})
    client.post("/logout/")
    assert '<html lang="en" data-look="light">' in client.get("/login/").content.decode()


@pytest.mark.parametrize("look", ["", "pink", '"><script>', "dark "])
def test_what_is_no_look_changes_nothing(alice: User, look: str) -> None:
    client = signed_in(alice)
    answer = client.post("/look/", {"look": look}, headers=HTMX)
    assert (answer.status_code, len(answer.cookies)) == (204, 0)
    client.cookies[settings.LOOK_COOKIE_NAME] = look
    assert 'data-look="system"' in client.get("/profile/").content.decode()
