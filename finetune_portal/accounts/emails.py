"""E-mails of accounts: invitation and password link. Nothing is sent without a mail server."""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable
from contextvars import copy_context
from threading import Thread

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connections

logger = logging.getLogger(__name__)

INVITATION = """Hello,

{name} invites you to the team's Finetune Portal. Create your account with this link.
It works once, for a week:

{link}
"""
PASSWORD_LINK = """Hello,

set a new password for the Finetune Portal with this link. It works once, for a day:

{link}

If you did not ask for it, ignore this e-mail: your password stays as it is.
"""


def send(subject: str, body: str, *, to: str) -> bool:
    """Return whether the mail server accepted the e-mail. Its links are secret, so no text is logged."""
    if not settings.EMAIL_HOST:
        return False
    try:
        EmailMessage(subject, body, to=[to], headers={"Auto-Submitted": "auto-generated"}).send()
    except (OSError, smtplib.SMTPException) as exc:
        logger.warning("An e-mail could not be sent (%s).", type(exc).__name__)
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
