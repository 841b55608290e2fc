"""A forgotten password: an e-mail with a link, and the same page for those who have no account."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.web.models import CacheEntry
from tests.accounts.conftest import MailServer
from tests.people import PASSWORD
from tests.waiting import until

FORGOT = "/password/forgot/"
pytestmark = pytest.mark.django_db(transaction=True)  # the e-mail is sent by a thread of its own


def request_link(email: str) -> HttpResponse:
    """Return the response once the e-mail is sent: the database in memory serves one thread at a time."""
    answer = Client().post(FORGOT, {"email": email})
    for thread in threading.enumerate():
        if thread.name == "e-mail":
            thread.join()
    return answer


def test_the_link_in_the_e_mail_sets_a_new_password(alice: User, mail: MailServer) -> None:
    assert "Forgot your password?" in Client().get("/login/").content.decode()
    assert "is on its way" in request_link("Alice@example.com").content.decode()
    until(lambda: bool(mail.mails), why="the e-mail has arrived")
    (message,) = mail.mails
    assert message["To"] == "alice@example.com"
    match = re.search(r"http://[^/]+(/password/\S+)", message.get_payload())
    assert match
    guest = Client()
    form = guest.get(match[1], follow=True).redirect_chain[-1][0]
    guest.post(form, {"password": "a brand new battery"})
    alice.refresh_from_db()
    assert alice.check_password("a brand new battery")


@pytest.mark.usefixtures("mail")
def test_nobody_learns_who_has_an_account(alice: User, mail: MailServer) -> None:
    User.objects.create_user("gone@example.com", PASSWORD, name="Gone", is_active=False)
    answers = set()
    for email in ("alice@example.com", "nobody@example.com", "gone@example.com"):
        html = request_link(email).content.decode()
        answers.add(
            re.sub(r'value="[^"]*"|nonce="[^"]*"', "", html.replace(email, "…")).partition("<main")[2]
        )
    assert len(answers) == 1
    until(lambda: bool(mail.mails), why="the e-mail has arrived")
    assert [message["To"] for message in mail.mails] == ["alice@example.com"]


def test_requests_for_one_account_are_limited(alice: User, mail: MailServer) -> None:
    for number in range(1, 6):
        assert request_link(alice.email).status_code == 200
        until(lambda wanted=number: len(mail.mails) == wanted, why="the e-mail has arrived")
    assert request_link(alice.email).status_code == 429
    assert len(mail.mails) == 5


def test_an_account_gets_a_few_e_mails_a_day(alice: User, mail: MailServer) -> None:
    codes = []
    for _ in range(3):
        codes += [request_link(alice.email).status_code for _ in range(5)]
        CacheEntry.objects.filter(key__contains=":5/60/key:").delete()  # as a minute later
    assert codes == [200] * 10 + [429] * 5
    until(lambda: len(mail.mails) == 10, why="the e-mails have arrived")
    assert request_link("bob@example.com").status_code == 200


def test_without_a_mail_server_there_is_no_such_page(settings: Any, db: None) -> None:
    settings.EMAIL_HOST = ""
    assert Client().get(FORGOT).status_code == 404
    assert "Forgot your password?" not in Client().get("/login/").content.decode()


def test_an_invalid_address_has_an_error_message(mail: MailServer, db: None) -> None:
    answer = request_link("alice@")
    assert answer.status_code == 422
    assert "valid email" in answer.content.decode()
