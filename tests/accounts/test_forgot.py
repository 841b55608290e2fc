"""A forgotten password: a letter with a link, and the same answer for those who have no account."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from finetune_portal.accounts.models import User
from tests.accounts.conftest import MailServer
from tests.people import PASSWORD
from tests.waiting import until

FORGOT = "/password/forgot/"
pytestmark = pytest.mark.django_db(transaction=True)  # the letter is written behind the answer


@pytest.fixture(autouse=True)
def nobody_asked_yet() -> None:
    cache.clear()


def asked(email: str) -> HttpResponse:
    """The answer, once the letter is written: the memory that holds the tests' database has room for one."""
    answer = Client().post(FORGOT, {"email": email})
    for thread in threading.enumerate():
        if thread.name == "e-mail":
            thread.join()
    return answer


def test_the_letter_leads_to_a_new_password(alice: User, mail: MailServer) -> None:
    assert "Forgot your password?" in Client().get("/login/").content.decode()
    assert "is on its way" in asked("Alice@example.com").content.decode()
    until(lambda: bool(mail.mails), why="the letter is there")
    (letter,) = mail.mails
    assert letter["To"] == "alice@example.com"
    found = re.search(r"http://[^/]+(/password/\S+)", letter.get_payload())
    assert found
    guest = Client()
    form = guest.get(found[1], follow=True).redirect_chain[-1][0]
    guest.post(form, {"password": "a brand new battery"})
    alice.refresh_from_db()
    assert alice.check_password("a brand new battery")


@pytest.mark.usefixtures("mail")
def test_nobody_learns_who_has_an_account(alice: User, mail: MailServer) -> None:
    User.objects.create_user("gone@example.com", PASSWORD, name="Gone", is_active=False)
    answers = set()
    for email in ("alice@example.com", "nobody@example.com", "gone@example.com"):
        html = asked(email).content.decode()
        answers.add(
            re.sub(r'value="[^"]*"|nonce="[^"]*"', "", html.replace(email, "…")).partition("<main")[2]
        )
    assert len(answers) == 1
    until(lambda: bool(mail.mails), why="the letter is there")
    assert [letter["To"] for letter in mail.mails] == ["alice@example.com"]


def test_asking_again_and_again_comes_to_an_end(alice: User, mail: MailServer) -> None:
    for number in range(1, 6):
        assert asked(alice.email).status_code == 200
        until(lambda wanted=number: len(mail.mails) == wanted, why="the letter is there")
    assert asked(alice.email).status_code == 429
    assert len(mail.mails) == 5


def test_without_a_mail_server_there_is_no_such_page(settings: Any, db: None) -> None:
    settings.EMAIL_HOST = ""
    assert Client().get(FORGOT).status_code == 404
    assert "Forgot your password?" not in Client().get("/login/").content.decode()


def test_a_bad_address_is_said(mail: MailServer, db: None) -> None:
    answer = asked("alice@")
    assert answer.status_code == 422
    assert "valid email" in answer.content.decode()
