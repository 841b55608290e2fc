"""E-mails of accounts: invitation and password link. Nothing is sent without a mail server."""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable
from contextvars import copy_context
from threading import Thread

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import connections

logger = logging.getLogger(__name__)
HEADERS = {"Auto-Submitted": "auto-generated"}

INVITATION = """Hello,

{name} invites you to the team's Finetune Portal. Create your account with this link.
It works once, for a week:

{link}
"""
RESET_LINK = """Hello,

set a new password for the Finetune Portal with this link. It works once, for a day:

{link}

If you did not ask for it, ignore this e-mail: your password stays as it is.
"""


class MailError(Exception):
    """The mail server did not take an e-mail. The text is for people, without the address.

    `is_final`: another try would end the same way.
    """

    def __init__(self, text: str, *, is_final: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final


def deliver(subject: str, body: str, *, to: str) -> None:
    """Send one e-mail. Raises MailError."""
    try:
        with get_connection() as server:  # it closes the socket after a failure, too
            EmailMessage(subject, body, to=[to], headers=HEADERS, connection=server).send()
    except smtplib.SMTPAuthenticationError:
        text = (
            "The mail server rejected the portal’s name and password. An operator checks PORTAL_EMAIL_USER."
        )
        raise MailError(text) from None
    except smtplib.SMTPRecipientsRefused as exc:
        code = next((code for code, _ in exc.recipients.values()), 0)
        text = f"The mail server takes no mail for this address (code {code})."
        raise MailError(text, is_final=code >= 500) from None
    except smtplib.SMTPResponseException as exc:
        raise MailError(f"The mail server rejected the message (code {exc.smtp_code}).") from None
    except smtplib.SMTPNotSupportedError:
        text = "The mail server does not offer what the portal needs. An operator checks PORTAL_EMAIL_TLS."
        raise MailError(text) from None
    except OSError:
        text = "The mail server cannot be reached. An operator checks PORTAL_EMAIL_HOST."
        raise MailError(text) from None


def send(subject: str, body: str, *, to: str) -> bool:
    """Return whether the mail server accepted the e-mail. Its links are secret, so no text is logged."""
    if not settings.EMAIL_HOST:
        return False
    try:
        deliver(subject, body, to=to)
    except MailError as exc:
        logger.warning("An e-mail could not be sent. %s", exc)
        return False
    return True


def send_in_background(send: Callable[[str], None], email: str) -> None:
    """Send without waiting, so that the response time does not show whether the account exists."""

    def run() -> None:
        try:
            send(email)
        finally:
            connections.close_all()

    Thread(target=copy_context().run, args=(run,), name="e-mail", daemon=True).start()
