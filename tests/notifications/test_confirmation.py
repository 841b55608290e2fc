"""An address that is not the person's own gets a link first, and nothing else until it is confirmed."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.notifications.confirmation import HOUR, PER_ADDRESS, PER_PERSON, PER_PERSON_A_DAY
from finetune_portal.notifications.models import Channel, Notification
from finetune_portal.web.models import CacheEntry
from tests.notifications.conftest import MailServer, fresh, work
from tests.people import HTMX, just_signed_in, make_job
from tests.ports import closed_port

PAGE = "/settings/notices/"
STRANGER = "stranger@elsewhere.example"


def add(user: User, address: str = STRANGER, **fields: str) -> Any:
    return just_signed_in(user).post(f"{PAGE}add/", {"address": address, **fields}, headers=HTMX)


def send_again(user: User) -> str:
    channel = Channel.objects.latest("pk")
    answer = just_signed_in(user).post(f"{PAGE}{channel.pk}/test/", headers=HTMX)
    return str(answer.content.decode())


def link_in(mail: MailServer) -> str:
    match = re.search(r"http://[^/]+(/settings/notices/confirm/\S+/)", mail.mails[-1].get_content())
    assert match
    return match[1]


def test_nothing_else_is_sent_until_the_link_is_confirmed(alice: User, mail: MailServer) -> None:
    add(alice)
    make_job(alice, "ready", ended_at=now())
    work()
    (message,) = mail.mails
    assert (message["To"], message["Subject"]) == (STRANGER, "Confirm this address for notifications")
    assert "Waiting for confirmation" in just_signed_in(alice).get(PAGE).content.decode()
    page = Client().get(link_in(mail))
    assert STRANGER in page.content.decode()
    assert fresh(Channel.objects.get()).confirmed_at is None, "a scanner of mail only looks"

    assert "Address confirmed" in Client().post(link_in(mail)).content.decode()
    work()
    assert len(mail.mails) == 1, "a job that ended before the confirmation is not reported"
    make_job(alice, "ready", ended_at=now())
    work()
    assert [message["Subject"] for message in mail.mails[1:]] == ["“Day to night” is ready"]
    assert "Waiting for confirmation" not in just_signed_in(alice).get(PAGE).content.decode()
    events = AuditEvent.objects.filter(action__startswith="notice.").order_by("pk")
    assert [(event.action, event.actor) for event in events] == [
        ("notice.add", alice),
        ("notice.confirm", None),
    ]


def test_a_link_works_once_and_only_its_hash_is_kept(alice: User, mail: MailServer) -> None:
    add(alice)
    work()
    link, row = link_in(mail), Channel.objects.get()
    token = link.split("/")[-2]
    assert row.confirmation_hash == hashlib.sha256(token.encode()).hexdigest()
    assert token not in str(vars(row))
    assert Client().post(link).status_code == 200
    for answer in (Client().post(link), Client().get(link), Client().get(f"{PAGE}confirm/none/")):
        assert answer.status_code == 410
        assert "This link no longer works" in answer.content.decode()


def test_a_link_ends_after_a_day_and_with_the_next_one(alice: User, mail: MailServer) -> None:
    add(alice)
    work()
    first = link_in(mail)
    assert "Sending" in send_again(alice)
    work()
    second = link_in(mail)
    assert Client().post(first).status_code == 410
    Channel.objects.update(confirmation_expires_at=F("confirmation_expires_at") - timedelta(days=1))
    assert Client().post(second).status_code == 410
    assert fresh(Channel.objects.get()).confirmed_at is None


def test_the_forms_token_is_needed(alice: User, mail: MailServer) -> None:
    add(alice)
    work()
    assert Client(enforce_csrf_checks=True).post(link_in(mail)).status_code == 403


@pytest.mark.parametrize(("is_verified", "subject"), [(True, "A test from"), (False, "Confirm this address")])
@pytest.mark.parametrize("address", ["alice@example.com", "Alice@Example.com"])
def test_the_own_address_needs_no_link_if_it_was_verified(
    is_verified: bool, subject: str, address: str, alice: User, mail: MailServer
) -> None:
    User.objects.filter(pk=alice.pk).update(is_email_verified=is_verified)
    add(alice, address)
    work()
    assert str(mail.mails[0]["Subject"]).startswith(subject)
    assert ("alice@example.com would like" in mail.mails[0].get_content()) is False


def test_who_asks_is_named_by_a_verified_e_mail_only(alice: User, mail: MailServer) -> None:
    """A name or an unproven e-mail is a text that somebody chose, and the portal sends none to strangers."""
    alice.name = "Cheap pills at pills.example"
    alice.save()
    add(alice, label="More pills")
    work()
    User.objects.filter(pk=alice.pk).update(is_email_verified=True)
    add(alice, "another@elsewhere.example")
    work()
    first, second = (message.get_content() for message in mail.mails)
    assert "pills" not in first + second
    assert first.splitlines()[2].startswith("Somebody on the team would like")
    assert second.splitlines()[2].startswith("alice@example.com would like")


def test_an_address_of_the_team_is_confirmed_too(dana: User, alice: User, mail: MailServer) -> None:
    add(dana, for_team="on")
    make_job(alice, "ready", ended_at=now())
    work()
    assert [message["Subject"] for message in mail.mails] == ["Confirm this address for notifications"]


def test_a_channel_to_a_chat_needs_no_link(alice: User) -> None:
    add(alice, "json://chat.example/")
    channel = Channel.objects.get()
    assert channel.confirmed_at is not None
    assert channel.notifications.get().event == "test"


@pytest.mark.parametrize("address", ["stranger{}@elsewhere.example", "json://stranger{}.example/"])
def test_a_person_sends_no_flood(address: str, charlie: User, mail: MailServer) -> None:
    """Neither to many addresses, nor by adding and deleting."""
    answers = []
    for number in range(25):
        answers.append(add(charlie, address.format(number)))
        Channel.objects.all().delete()
    work()
    assert [answer.status_code for answer in answers] == [200] * PER_PERSON + [422] * (25 - PER_PERSON)
    assert "You have sent many messages within an hour." in answers[-1].content.decode()
    assert not Notification.objects.exists()


@pytest.mark.long
def test_a_person_tests_a_channel_a_few_times_a_day(alice: User) -> None:
    add(alice, "json://chat.example/")
    sent = 1
    for _ in range(5):
        CacheEntry.objects.filter(key__endswith=f":{HOUR}").delete()  # as an hour later
        for _ in range(PER_PERSON):
            Notification.objects.update(finished_at=now())
            page = send_again(alice)
            sent += "You have sent many messages" not in page
    assert "within a day" in page
    assert sent == Notification.objects.count() == PER_PERSON_A_DAY


def test_an_address_is_asked_a_few_times_a_day_by_all_together(
    alice: User, bob: User, charlie: User, dana: User, mail: MailServer
) -> None:
    spellings = ["ada.l@elsewhere.example", "Ada.L@Elsewhere.example", "adal+1@elsewhere.example"]
    for person, address in zip((alice, bob, charlie), spellings, strict=True):
        assert add(person, address).status_code == 200
        work()
    answer = add(dana, "adal@elsewhere.example")
    assert answer.status_code == 422
    assert "This address was asked several times today." in answer.content.decode()
    assert "This address was asked several times today." in send_again(charlie)
    work()
    assert len(mail.mails) == PER_ADDRESS


@pytest.mark.parametrize(
    ("plain", "spellings"),
    [
        (
            "adal@elsewhere.example",
            ['"adal"@elsewhere.example', r'"a\dal"@elsewhere.example', r'"ad\al"@elsewhere.example'],
        ),
        (
            "adal@elsewhere.example",
            ["adal@\uff45lsewhere.example", "adal@e\uff4csewhere.example", "adal@elsewhere.\uff45xample"],
        ),
        (
            "adal@xn--mll-hoa.example",
            ["adal@m\xfcll.example", "adal@M\xdcLL.example", "adal@mu\u0308ll.example"],
        ),
    ],
    ids=["quoted", "wide", "punycode"],
)
def test_an_address_in_other_characters_is_the_same_one(
    charlie: User, mail: MailServer, plain: str, spellings: list[str]
) -> None:
    assert [add(charlie, each).status_code for each in spellings] == [200] * PER_ADDRESS
    assert add(charlie, plain).status_code == 422


def test_a_link_that_could_not_be_sent_is_sent_later(alice: User, mail: MailServer, settings: Any) -> None:
    there, settings.EMAIL_PORT = settings.EMAIL_PORT, closed_port()
    add(alice)
    work()
    assert "The mail server cannot be reached." in fresh(Channel.objects.get()).last_error
    settings.EMAIL_PORT = there
    Notification.objects.update(due_at=now())
    work()
    assert Client().post(link_in(mail)).status_code == 200


def test_no_link_is_sent_for_what_is_confirmed_meanwhile(alice: User, mail: MailServer) -> None:
    add(alice)
    Channel.objects.update(confirmed_at=now())
    work()
    assert mail.mails == []
    assert Notification.objects.get().finished_at is not None
