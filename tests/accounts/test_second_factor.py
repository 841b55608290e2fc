"""Second factors without a browser: the app, recovery codes, and a portal that asks everyone for one.

Security keys need a browser: tests/e2e/test_security_key.py.
"""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.web.asgi import signed_in_user
from tests.people import HTMX, PASSWORD, signed_in

HOME = "/profile/second-factor/"


@pytest.fixture(autouse=True)
def no_code_was_tried() -> None:
    cache.clear()


def enter(user: User) -> tuple[Client, Any]:
    client = Client()
    return client, client.post("/login/", {"username": user.email, "password": PASSWORD})


def code_of(secret: str, *, steps: int = 0) -> str:
    """What the app shows now, or so many half minutes from now."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps)))


def set_up(client: Client) -> str:
    html = client.get(f"{HOME}app/").content.decode()
    assert "<svg" in html
    assert "data:" not in html
    found = re.search(r"<code>([A-Z2-7]{32})</code>", html)
    assert found
    answer = client.post(f"{HOME}app/", {"code": code_of(found[1], steps=-1)})
    assert answer.headers["Location"] == f"{HOME}codes/"
    return found[1]


def codes_on(html: str) -> list[str]:
    found = re.search(r"<code>([\d\s]+)</code>", html)
    return found[1].split() if found else []


@pytest.fixture
def secret(alice: User) -> str:
    client, _ = enter(alice)
    return set_up(client)


def test_the_app_is_asked_for_after_the_password(alice: User, secret: str) -> None:
    client, answer = enter(alice)
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


def test_a_code_counts_once_in_any_process(alice: User, secret: str) -> None:
    first, _ = enter(alice)
    first.post("/login/second-factor/", {"code": code_of(secret)})
    cache.clear()  # another process has its own memory
    second, _ = enter(alice)
    answer = second.post("/login/second-factor/", {"code": code_of(secret)})
    assert answer.status_code == 422
    assert "already used" in answer.content.decode()


def test_guessing_codes_comes_to_an_end(alice: User, secret: str) -> None:
    client, _ = enter(alice)
    for _ in range(5):
        client.post("/login/second-factor/", {"code": "000000"})
    answer = client.post("/login/second-factor/", {"code": code_of(secret)})
    assert answer.status_code == 422


def test_the_secret_is_sealed_in_the_database(secret: str) -> None:
    assert secret not in str(list(Authenticator.objects.values()))


def test_a_lost_sealing_key_is_told_and_is_no_500(alice: User, secret: str, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = ["another key altogether"]
    client, _ = enter(alice)
    answer = client.post("/login/second-factor/", {"code": code_of(secret)})
    assert answer.status_code == 422
    assert "lost the key" in answer.content.decode()
    inside = signed_in(alice)
    inside.post("/profile/confirm/", {"password": PASSWORD})
    for page in (HOME, f"{HOME}codes/", f"{HOME}codes/new/"):
        assert inside.get(page, follow=True).status_code == 200


def test_a_recovery_code_works_once_and_all_are_shown_once(alice: User) -> None:
    client, _ = enter(alice)
    set_up(client)
    codes = codes_on(client.get(f"{HOME}codes/").content.decode())
    assert len(codes) == 10
    assert "already shown and cannot be shown again" in client.get(f"{HOME}codes/").content.decode()
    for expected in (302, 422):
        visitor, _ = enter(alice)
        assert visitor.post("/login/second-factor/", {"code": codes[0]}).status_code == expected
    client.post(f"{HOME}codes/new/")
    fresh = codes_on(client.get(f"{HOME}codes/").content.decode())
    assert len(fresh) == 10
    assert not set(fresh) & set(codes)
    visitor, _ = enter(alice)
    assert visitor.post("/login/second-factor/", {"code": codes[1]}).status_code == 422


def test_a_change_asks_again_who_it_is_when_the_sign_in_was_long_ago(alice: User, secret: str) -> None:
    client = signed_in(alice)
    answer = client.get(f"{HOME}app/remove/")
    assert answer.headers["Location"].startswith("/profile/confirm/?")
    assert Authenticator.objects.filter(type="totp").exists()
    confirm = f"/profile/confirm/?next={HOME}app/remove/"
    assert client.post(confirm, {"password": "wrong"}).status_code == 422
    assert client.post(confirm, {"password": PASSWORD}).headers["Location"] == f"{HOME}app/remove/"
    assert client.post(f"{HOME}app/remove/").headers["Location"] == HOME
    assert not Authenticator.objects.exists()
    assert AuditEvent.objects.filter(action="second_factor.removed", actor=alice).exists()
    _, answer = enter(alice)
    assert answer.headers["Location"] == "/"


def test_an_admin_takes_off_what_was_lost_and_all_sessions_end(alice: User, dana: User) -> None:
    client, _ = enter(alice)
    set_up(client)
    signed_in(dana).post(f"/team/{alice.pk}/second-factor/")
    assert client.get("/").status_code == 302
    assert enter(alice)[1].headers["Location"] == "/"
    event = AuditEvent.objects.get(action="second_factor.reset")
    assert (event.actor, event.detail["removed"]) == (dana, 2)


@pytest.fixture
def required(settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = True


@pytest.mark.usefixtures("required")
def test_where_it_is_required_it_is_set_up_first(alice: User) -> None:
    client, _ = enter(alice)
    for page in ("/", "/team/", "/profile/", "/datasets/"):
        assert client.get(page).headers["Location"] == HOME
    piece = client.get("/jobs/table/", headers=HTMX)
    assert (piece.status_code, piece.headers["HX-Redirect"]) == (403, HOME)
    assert client.post("/presets/", {}).status_code == 403
    assert signed_in_user({"cookie": f"sessionid={client.cookies['sessionid'].value}"}) is None
    assert "requires a second factor" in client.get(HOME).content.decode()
    set_up(client)
    assert client.get("/").status_code == 200
    assert signed_in_user({"cookie": f"sessionid={client.cookies['sessionid'].value}"}) == alice


@pytest.mark.usefixtures("required")
def test_where_it_is_required_the_last_one_stays(alice: User) -> None:
    client, _ = enter(alice)
    set_up(client)
    answer = client.post(f"{HOME}app/remove/")
    assert answer.status_code == 422
    assert "Add another one first" in answer.content.decode()
    assert Authenticator.objects.filter(type="totp").exists()


@pytest.mark.usefixtures("required")
def test_where_it_is_required_one_can_still_sign_out(alice: User) -> None:
    client, _ = enter(alice)
    assert client.post("/logout/").headers["Location"] == "/login/"


@pytest.mark.parametrize("page", ["", "app/", "app/remove/", "keys/", "keys/add/", "codes/", "codes/new/"])
def test_strangers_are_led_to_the_login(page: str, client: Client) -> None:
    assert client.get(f"{HOME}{page}").headers["Location"].startswith("/login/")


def test_the_second_step_is_only_for_those_who_made_the_first(client: Client) -> None:
    assert client.get("/login/second-factor/").headers["Location"] == "/login/"


@pytest.mark.parametrize("address", ["/accounts/signup/", "/signup/", "/accounts/email/", "/password/reset/"])
def test_no_other_page_of_allauth_is_open(address: str, alice: User) -> None:
    assert signed_in(alice).get(address).status_code == 404
