"""Guessing at one account from many addresses is slowed down; its owner gets an e-mail and can sign in."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.core.management import call_command
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts import services
from finetune_portal.accounts.models import User
from finetune_portal.accounts.slow_down import FREE_TRIES
from finetune_portal.audit.models import AuditEvent
from finetune_portal.web.models import CacheEntry
from tests.accounts.conftest import MailServer
from tests.accounts.test_throttle import HOME, try_to_sign_in
from tests.people import PASSWORD, just_signed_in, person, signed_in
from tests.waiting import until
from tests.web_server import WebServer


def elsewhere(number: int) -> str:
    return f"100.{70 + number // 250}.1.{number % 250}"


def guess(email: str, tries: int = FREE_TRIES) -> list[int]:
    return [try_to_sign_in(email, address=elsewhere(number)).status_code for number in range(tries)]


def after_the_pause(email: str, password: str = "wrong", *, address: str) -> Any:
    CacheEntry.objects.filter(key__contains="password-pause:").update(expires_at=now())
    return try_to_sign_in(email, password, address=address)


@pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.com"])
def test_many_addresses_have_no_more_tries(email: str, alice: User) -> None:
    assert guess(email, 30) == [422] * (FREE_TRIES + 1) + [429] * (29 - FREE_TRIES)
    refused = try_to_sign_in(email, PASSWORD, address="203.0.113.200")
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 30
    assert "for this e-mail, from several networks" in refused.content.decode()


@pytest.mark.long
def test_many_at_once_are_no_more_than_one_after_the_other(web: WebServer) -> None:
    email = person("alice", "maker").email

    def post(number: int) -> int:
        with requests.Session() as browser:  # behind a proxy, at an address of its own
            browser.headers["X-Forwarded-For"] = elsewhere(number)
            page = browser.get(f"{web.url}/login/", timeout=60).text
            token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
            fields = {"csrfmiddlewaretoken": token, "username": email, "password": "wrong"}
            return browser.post(f"{web.url}/login/", fields, timeout=60).status_code

    with ThreadPoolExecutor(16) as pool:
        answers = Counter(pool.map(post, range(40)))
    assert answers == {422: FREE_TRIES + 1, 429: 39 - FREE_TRIES}


def test_one_try_after_each_pause_and_the_pauses_grow(alice: User) -> None:
    guess(alice.email, FREE_TRIES)
    for number, pause in enumerate([30, 60, 120, 240, 480, 900, 900, 900]):
        assert after_the_pause(alice.email, address=elsewhere(100 + number)).status_code == 422
        refused = try_to_sign_in(alice.email, PASSWORD, address="198.51.100.99")
        assert refused.status_code == 429
        assert pause - 20 < int(refused.headers["Retry-After"]) <= pause
    assert after_the_pause(alice.email, PASSWORD, address=elsewhere(200)).status_code == 302


def test_where_a_person_signed_in_lately_there_is_no_pause(alice: User, bob: User) -> None:
    assert try_to_sign_in(alice.email, PASSWORD, address=HOME).status_code == 302
    guess(alice.email, 30)
    assert try_to_sign_in(alice.email, address=HOME).status_code == 422
    assert try_to_sign_in(alice.email, PASSWORD, address=HOME).status_code == 302
    assert try_to_sign_in(bob.email, PASSWORD, address=elsewhere(1)).status_code == 302
    AuditEvent.objects.update(at=now() - timedelta(days=31))
    assert try_to_sign_in(alice.email, PASSWORD, address=HOME).status_code == 429


def test_a_known_network_has_five_tries_of_its_own(alice: User) -> None:
    try_to_sign_in(alice.email, PASSWORD, address="2a00:1450:4001:82b::1")
    guess(alice.email, 30)
    answers = [try_to_sign_in(alice.email, address=f"2a00:1450:4001:82b::{n}").status_code for n in range(6)]
    assert answers == [422] * 4 + [429] * 2


def test_a_password_that_was_set_by_a_link_opens_the_network(alice: User) -> None:
    guess(alice.email, 30)
    guest = Client(REMOTE_ADDR=HOME)
    link = services.password_link(alice, actor=None)
    form = guest.get(link, follow=True).redirect_chain[-1][0]
    guest.post(form, {"password": "a brand new battery"})
    assert try_to_sign_in(alice.email, "a brand new battery", address=HOME).status_code == 302


def test_a_stolen_session_is_slowed_down_as_well(alice: User) -> None:
    guess(alice.email, 30)
    thief = signed_in(alice)
    answer = thief.post("/profile/confirm/", {"password": PASSWORD}, REMOTE_ADDR="203.0.113.7")
    assert answer.status_code == 429
    answer = thief.post("/profile/password/", {"current": PASSWORD, "password": "a brand new battery"})
    assert answer.status_code == 429
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_an_admin_sees_it_and_unlocks_the_account(alice: User, dana: User) -> None:
    guess(alice.email, 30)
    admin = just_signed_in(dana)
    assert "Locked" in admin.get("/team/").content.decode()
    admin.post(f"/team/{alice.pk}/unlock/")
    assert "Locked" not in admin.get("/team/").content.decode()
    assert try_to_sign_in(alice.email, PASSWORD, address="203.0.113.7").status_code == 302


@pytest.mark.parametrize("command", [["axes_reset_username", "alice@example.com"], ["axes_reset"]])
def test_an_operator_unlocks_it_by_a_command(command: list[str], alice: User) -> None:
    guess(alice.email, 30)
    call_command(*command)
    assert try_to_sign_in(alice.email, PASSWORD, address="203.0.113.7").status_code == 302


def test_without_a_mail_server_it_is_in_the_record(alice: User) -> None:
    guess(alice.email)
    assert AuditEvent.objects.get(action="account.slowed").detail == {"tries": FREE_TRIES}


@pytest.mark.django_db(transaction=True)  # the e-mail is sent by a thread of its own
def test_the_owner_gets_one_e_mail_a_day(alice: User, mail: MailServer) -> None:
    for _ in range(2):
        guess(alice.email, 30)
        call_command("axes_reset_username", alice.email)
    for thread in threading.enumerate():
        if thread.name == "e-mail":
            thread.join()
    until(lambda: bool(mail.mails), why="the e-mail has arrived")
    (message,) = mail.mails
    assert message["To"] == alice.email
    assert "20 wrong passwords" in message.get_payload()
    assert "/profile/" in message.get_payload()
