"""A mail server to send to."""

from __future__ import annotations

from tests.notifications.conftest import MailServer, mail

__all__ = ["MailServer", "mail"]
