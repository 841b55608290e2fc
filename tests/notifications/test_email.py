"""News by e-mail, with a real mail server on this machine."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.notifications import services
from finetune_portal.notifications.models import Channel, Notification
from finetune_portal.web import encryption
from tests.notifications.conftest import MailServer, fresh, work
from tests.people import make_job
from tests.ports import closed_port


@pytest.fixture
def channel(alice: User) -> Channel:
    return Channel.objects.create(
        owner=alice,
        kind="email",
        display_address=alice.email,
        encrypted_address=encryption.encrypt(alice.email),
    )


def test_a_finished_training_is_told_in_a_mail(
    alice: User, channel: Channel, mail: MailServer, settings: Any
) -> None:
    settings.PORTAL_URL = "https://portal.example.com"
    started = now() - timedelta(minutes=4, seconds=10)
    channel_was_there = started - timedelta(days=1)
    Channel.objects.update(subscribed_at=channel_was_there)
    job = make_job(alice, "ready", created_at=started, ended_at=started + timedelta(minutes=4, seconds=10))
    work()
    (message,) = mail.mails
    assert message["Subject"] == "“Day to night” is ready"
    assert (message["To"], message["From"]) == ("alice@example.com", settings.DEFAULT_FROM_EMAIL)
    body = message.get_content()
    assert "Started by Alice · 300 steps at 0.0004 · took 4 min 10 s" in body
    assert f"https://portal.example.com/jobs/{job.pk}/" in body
    assert fresh(channel).last_delivered_at is not None


@pytest.mark.parametrize(
    ("state", "subject"),
    [
        ("failed", "“Day to night” failed"),
        ("refused", "“Day to night” was refused"),
        ("needs_decision", "“Day to night” needs a decision"),
    ],
)
def test_trouble_is_told_without_the_words_of_the_provider(
    state: str, subject: str, alice: User, channel: Channel, mail: MailServer
) -> None:
    secret = "https://storage.example/a?X-Amz-Signature=abc"
    make_job(
        alice, state, ended_at=now() if state != "needs_decision" else None, error=f"Cannot read {secret}"
    )
    work()
    (message,) = mail.mails
    assert message["Subject"] == subject
    assert secret not in message.as_string()


def test_a_name_with_line_ends_makes_one_subject(alice: User, channel: Channel, mail: MailServer) -> None:
    make_job(alice, "ready", ended_at=now(), name="Night\r\nBcc: eve@example.com")
    work()
    (message,) = mail.mails
    assert message["Subject"].strip() == "“Night Bcc: eve@example.com” is ready"
    assert message["Bcc"] is None


def test_a_refused_recipient_is_shown_and_not_tried_again(
    alice: User, channel: Channel, mail: MailServer
) -> None:
    mail.refuses = "550 no such user"
    make_job(alice, "ready", ended_at=now())
    work()
    assert fresh(channel).last_error == "The mail server takes no mail for this address (code 550)."
    assert Notification.objects.get().finished_at is not None
    assert mail.mails == []


def test_a_mail_server_that_was_away_gets_it_later(
    alice: User, channel: Channel, mail: MailServer, settings: Any
) -> None:
    there, settings.EMAIL_PORT = settings.EMAIL_PORT, closed_port()
    make_job(alice, "ready", ended_at=now())
    work()
    assert "The mail server cannot be reached." in fresh(channel).last_error
    notification = Notification.objects.get()
    assert notification.finished_at is None
    assert notification.due_at > now()

    settings.EMAIL_PORT = there
    Notification.objects.update(due_at=now())
    work()
    assert len(mail.mails) == 1
    assert (fresh(channel).last_error, Notification.objects.get().error) == ("", "")


def test_it_gives_up_after_some_tries(alice: User, channel: Channel, mail: MailServer, settings: Any) -> None:
    mail.refuses = "451 later"
    make_job(alice, "ready", ended_at=now())
    for _ in range(20):
        work()
        Notification.objects.update(due_at=now())
    notification = Notification.objects.get()
    assert (notification.attempts, notification.error) == (
        8,
        "The mail server takes no mail for this address (code 451).",
    )
    assert notification.finished_at is not None


def test_a_server_without_encryption_is_not_used_when_it_is_asked_for(
    alice: User, channel: Channel, mail: MailServer, settings: Any
) -> None:
    settings.EMAIL_USE_TLS = True
    services.test(channel, actor=alice)
    work()
    assert "An operator checks PORTAL_EMAIL_TLS." in fresh(channel).last_error
    assert mail.mails == []


def test_a_server_that_says_nothing_is_a_failure_in_words(
    alice: User, channel: Channel, mail: MailServer, settings: Any
) -> None:
    settings.EMAIL_TIMEOUT = 0.2
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_PORT = silent.getsockname()[1]
        services.test(channel, actor=alice)
        work()
    assert "The mail server cannot be reached." in fresh(channel).last_error
