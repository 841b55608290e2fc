"""Second factors without a browser: the app, recovery codes, and a portal that requires a factor.

Security keys need a browser: tests/e2e/test_security_key.py.
"""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.conf import settings
from django.core.cache import cache
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.web.asgi import signed_in_user
from tests.people import HTMX, PASSWORD, signed_in

COOKIE = settings.SESSION_COOKIE_NAME

HOME = "/profile/second-factor/"


def sign_in(user: User) -> tuple[Client, Any]:
    client = Client()
    return client, client.post("/login/", {"username": user.email, "password": PASSWORD})


def code_of(secret: str, *, steps: int = 0) -> str:
    """Return what the app shows now, or `steps` half minutes from now."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps)))


def add_app(client: Client) -> str:
    html = client.get(f"{HOME}app/").content.decode()
    assert "<svg" in html
    assert "data:" not in html
    assert "placeholder" not in html.partition("<main")[2].partition("</main>")[0], "the label says it"
    match = re.search(r"<code>([A-Z2-7]{32})</code>", html)
    assert match
    answer = client.post(f"{HOME}app/", {"code": code_of(match[1], steps=-1)})
    assert answer.headers["Location"] == f"{HOME}codes/"
    return match[1]


def recovery_codes_on(html: str) -> list[str]:
    match = re.search(r"<code>([\d\s]+)</code>", html)
    return match[1].split() if match else []


@pytest.fixture
def secret(alice: User) -> str:
    client, _ = sign_in(alice)
    return add_app(client)


def test_the_app_is_asked_for_after_the_password(alice: User, secret: str) -> None:
    client, answer = sign_in(alice)
    assert answer.headers["Location"] == "/login/second-factor/"
    assert client.get("/").headers["Location"].startswith("/login/")
    wrong = client.post("/login/second-factor/", {"code": "000000"})
    assert wrong.status_code == 422
    assert "That code is wrong" in wrong.content.decode()
    assert client.post("/login/second-factor/", {"code": code_of(secret)}).headers["Location"] == "/"
    assert client.get("/").status_code == 200
    actions = list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))
    assert actions[-2:] == ["second_factor.refused", "session.began"]
    assert "second_factor.added" in actions


def test_a_code_works_once_across_processes(alice: User, secret: str) -> None:
    first, _ = sign_in(alice)
    code = code_of(secret)
    first.post("/login/second-factor/", {"code": code})
    cache.clear()  # where allauth remembers it, too
    second, _ = sign_in(alice)
    answer = second.post("/login/second-factor/", {"code": code})
    assert answer.status_code == 422
    assert "already used" in answer.content.decode()


def test_the_code_that_adds_the_app_signs_nobody_in(alice: User) -> None:
    client, _ = sign_in(alice)
    html = client.get(f"{HOME}app/").content.decode()
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", html)
    assert secret
    code = code_of(secret[1])
    assert client.post(f"{HOME}app/", {"code": code}).headers["Location"] == f"{HOME}codes/"
    other, _ = sign_in(alice)
    answer = other.post("/login/second-factor/", {"code": code})
    assert answer.status_code == 422
    assert "already used" in answer.content.decode()


def test_a_code_that_confirmed_does_nothing_else(alice: User, secret: str) -> None:
    """Nor does one of a sign-in confirm: allauth alone forgets it while it is still good."""
    confirm = "/profile/confirm/code/?next=/"
    code = code_of(secret)
    client = signed_in(alice, minutes_ago=60)
    assert client.post(confirm, {"code": code}).headers["Location"] == "/"
    cache.clear()
    other, _ = sign_in(alice)
    assert other.post("/login/second-factor/", {"code": code}).status_code == 422
    cache.clear()
    answer = signed_in(alice, minutes_ago=60).post(confirm, {"code": code})
    assert (answer.status_code, "already used" in answer.content.decode()) == (422, True)


def test_guesses_of_a_code_are_limited(alice: User, secret: str) -> None:
    client, _ = sign_in(alice)
    for _ in range(5):
        client.post("/login/second-factor/", {"code": "000000"})
    answer = client.post("/login/second-factor/", {"code": code_of(secret)})
    assert answer.status_code == 422


def test_the_secret_is_encrypted_in_the_database(secret: str) -> None:
    assert secret not in str(list(Authenticator.objects.values()))


def test_a_lost_encryption_key_has_an_error_message(alice: User, secret: str, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = ["another key altogether"]
    client, _ = sign_in(alice)
    answer = client.post("/login/second-factor/", {"code": code_of(secret)})
    assert answer.status_code == 422
    assert "lost the key" in answer.content.decode()
    inside = signed_in(alice)
    inside.post("/profile/confirm/", {"password": PASSWORD})
    for page in (HOME, f"{HOME}codes/", f"{HOME}codes/new/"):
        assert inside.get(page, follow=True).status_code == 200


def test_a_recovery_code_works_once_and_all_are_shown_once(alice: User) -> None:
    client, _ = sign_in(alice)
    add_app(client)
    codes = recovery_codes_on(client.get(f"{HOME}codes/").content.decode())
    assert len(codes) == 10
    assert "already shown and cannot be shown again" in client.get(f"{HOME}codes/").content.decode()
    for expected in (302, 422):
        visitor, _ = sign_in(alice)
        assert visitor.post("/login/second-factor/", {"code": codes[0]}).status_code == expected
    client.post(f"{HOME}codes/new/")
    fresh = recovery_codes_on(client.get(f"{HOME}codes/").content.decode())
    assert len(fresh) == 10
    assert not set(fresh) & set(codes)
    visitor, _ = sign_in(alice)
    assert visitor.post("/login/second-factor/", {"code": codes[1]}).status_code == 422


def test_a_change_long_after_the_sign_in_needs_reauthentication(alice: User, secret: str) -> None:
    client = signed_in(alice, minutes_ago=60)
    answer = client.get(f"{HOME}app/remove/")
    assert answer.headers["Location"].startswith("/profile/confirm/?")
    assert Authenticator.objects.filter(type="totp").exists()
    confirm = f"/profile/confirm/?next={HOME}app/remove/"
    main = client.get(confirm).content.decode().partition("<main")[2].partition("</main>")[0]
    assert "placeholder" not in main, "the label says it"
    assert client.post(confirm, {"password": "wrong"}).status_code == 422
    assert client.post(confirm, {"password": PASSWORD}).headers["Location"] == f"{HOME}app/remove/"
    assert client.post(f"{HOME}app/remove/").headers["Location"] == HOME
    assert not Authenticator.objects.exists()
    assert AuditEvent.objects.filter(action="second_factor.removed", actor=alice).exists()
    _, answer = sign_in(alice)
    assert answer.headers["Location"] == "/"


def test_an_admin_removes_lost_factors_and_all_sessions_end(alice: User, dana: User) -> None:
    client, _ = sign_in(alice)
    add_app(client)
    signed_in(dana).post(f"/team/{alice.pk}/second-factor/")
    assert client.get("/").status_code == 302
    assert sign_in(alice)[1].headers["Location"] == "/"
    event = AuditEvent.objects.get(action="second_factor.reset")
    assert (event.actor, event.detail["removed"]) == (dana, 2)


@pytest.fixture
def required(settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = True


@pytest.mark.usefixtures("required")
def test_a_required_second_factor_is_set_up_first(alice: User) -> None:
    client, _ = sign_in(alice)
    for page in ("/", "/team/", "/profile/", "/datasets/"):
        assert client.get(page).headers["Location"] == HOME
    fragment = client.get("/jobs/table/", headers=HTMX)
    assert (fragment.status_code, fragment.headers["HX-Redirect"]) == (403, HOME)
    assert client.post("/jobs/new/presets/", {}).status_code == 403
    assert signed_in_user({"cookie": f"{COOKIE}={client.cookies[COOKIE].value}"}) is None
    assert "requires a second factor" in client.get(HOME).content.decode()
    add_app(client)
    assert client.get("/").status_code == 200
    assert signed_in_user({"cookie": f"{COOKIE}={client.cookies[COOKIE].value}"}) == alice


@pytest.mark.usefixtures("required")
def test_the_last_required_factor_cannot_be_removed(alice: User) -> None:
    client, _ = sign_in(alice)
    add_app(client)
    answer = client.post(f"{HOME}app/remove/")
    assert answer.status_code == 422
    assert "Add another one first" in answer.content.decode()
    assert Authenticator.objects.filter(type="totp").exists()


@pytest.mark.usefixtures("required")
def test_without_the_required_factor_one_can_still_sign_out(alice: User) -> None:
    client, _ = sign_in(alice)
    assert client.post("/logout/").headers["Location"] == "/login/"


@pytest.mark.parametrize("page", ["", "app/", "app/remove/", "keys/", "keys/add/", "codes/", "codes/new/"])
def test_without_a_session_the_sign_in_page_comes_first(page: str, client: Client) -> None:
    assert client.get(f"{HOME}{page}").headers["Location"].startswith("/login/")


def test_the_second_step_needs_the_first(client: Client) -> None:
    assert client.get("/login/second-factor/").headers["Location"] == "/login/"


@pytest.mark.parametrize("address", ["/accounts/signup/", "/signup/", "/accounts/email/", "/password/reset/"])
def test_no_other_page_of_allauth_is_open(address: str, alice: User) -> None:
    assert signed_in(alice).get(address).status_code == 404
