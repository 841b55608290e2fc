"""Real receivers on this machine: a mail server and a web server."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_network
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from finetune_portal.notifications.models import Channel
from finetune_portal.notifications.tasks import create_notifications, send_next
from tests.engine.sink import Sink, listening
from tests.ports import free_port


@pytest.fixture(scope="session", autouse=True)
def old_module_of_apprise() -> None:
    """One of Apprise's modules imports imghdr, which warns on Python 3.11 and 3.12."""
    with warnings.catch_warnings(), suppress(ModuleNotFoundError):
        warnings.simplefilter("ignore")
        importlib.import_module("imghdr")


@dataclass
class MailServer:
    """Takes mail, or answers each recipient with `refuses`."""

    port: int = field(default_factory=free_port)
    refuses: str = ""
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(message_from_bytes(bytes(envelope.content or b""), policy=policy.default))
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    handler = MailServer()
    controller = Controller(handler, hostname="127.0.0.1", port=handler.port)
    controller.start()
    try:
        yield handler
    finally:
        controller.stop()


@pytest.fixture
def mail(settings: Any) -> Iterator[MailServer]:
    with mail_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_USE_TLS = False
        yield server


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening() as listener:
        yield listener


@pytest.fixture
def near(settings: Any) -> None:
    """The operator allows addresses on this machine."""
    settings.OUTBOUND_NETWORKS = [ip_network("127.0.0.0/8")]


def work() -> None:
    """What the worker does until there is nothing left to do now."""
    create_notifications()
    for _ in range(50):
        if not send_next():
            return
    raise AssertionError("it sends without an end")


def fresh(channel: Channel) -> Channel:
    return Channel.objects.get(pk=channel.pk)
