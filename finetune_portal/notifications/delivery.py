"""Brings one message to one channel: e-mail by the operator's mail server, all else through Apprise."""

from __future__ import annotations

import logging
import re
import smtplib
from typing import Any

from apprise import LogCapture, NotifyBase, NotifyFormat
from django.core.mail import EmailMessage, get_connection

from finetune_portal.notifications import addresses, guard
from finetune_portal.notifications.messages import Message
from finetune_portal.notifications.models import Channel
from finetune_portal.web import encryption

STATUS = re.compile(r"error=(\d{3})\b")
WORTH_ANOTHER_TRY = (408, 429)


class NotDelivered(Exception):
    """The text says why, for people, without the address. `is_final`: another try would end the same way."""

    def __init__(self, text: str, *, is_final: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final


def deliver(channel: Channel, message: Message) -> None:
    """Raises NotDelivered."""
    try:
        address = encryption.decrypt(channel.encrypted_address)
    except encryption.KeyLostError:
        text = "The key to this address is gone from DATA_DIR/secrets. Delete the channel and add it anew."
        raise NotDelivered(text, is_final=True) from None
    if channel.kind == Channel.Kind.EMAIL:
        _mail(address, message)
    else:
        _hand_to_apprise(address, message)


def _mail(address: str, message: Message) -> None:
    headers = {"Auto-Submitted": "auto-generated"}
    try:
        with get_connection() as server:
            mail = EmailMessage(
                message.subject, message.body, to=[address], headers=headers, connection=server
            )
            mail.send()
    except smtplib.SMTPAuthenticationError:
        text = "The mail server refused the portal’s name and password. An operator checks PORTAL_EMAIL_USER."
        raise NotDelivered(text) from None
    except smtplib.SMTPRecipientsRefused as exc:
        code = next((code for code, _ in exc.recipients.values()), 0)
        text = f"The mail server takes no mail for this address (code {code})."
        raise NotDelivered(text, is_final=code >= 500) from None
    except smtplib.SMTPResponseException as exc:
        raise NotDelivered(f"The mail server refused the message (code {exc.smtp_code}).") from None
    except smtplib.SMTPNotSupportedError:
        text = "The mail server does not offer what the portal needs. An operator checks PORTAL_EMAIL_TLS."
        raise NotDelivered(text) from None
    except OSError:
        raise NotDelivered(
            "The mail server cannot be reached. An operator checks PORTAL_EMAIL_HOST."
        ) from None


def _hand_to_apprise(address: str, message: Message) -> None:
    try:
        service = addresses.read(address)
    except addresses.Unreadable as exc:
        raise NotDelivered(str(exc), is_final=True) from None
    with guard.watched() as watch, LogCapture(level=logging.WARNING) as captured:
        taken = _taken_by(service, message)
        status = STATUS.search(captured.getvalue())
    if taken:
        return
    if watch.refused:
        text = "This address is inside a private network. An operator can allow it: PORTAL_OUTBOUND_NETWORKS."
        raise NotDelivered(text, is_final=True)
    raise _refusal(str(service.service_name), int(status[1]) if status else 0)


def _taken_by(service: NotifyBase, message: Message) -> bool:
    words: dict[str, Any] = {"title": message.subject, "body": message.body}
    try:
        return service.notify(**words, body_format=NotifyFormat.TEXT)
    except Exception as exc:  # noqa: BLE001 - each of Apprise's services may stumble in its own way
        text = f"Apprise stumbled over this address ({type(exc).__name__}). Please check it."
        raise NotDelivered(text, is_final=True) from None


def _refusal(name: str, status: int) -> NotDelivered:
    if not status:
        return NotDelivered(f"{name} could not be reached, or did not answer in time.")
    hint = {401: "Is the token right?", 403: "Is the token right?", 404: "Was its webhook deleted?"}
    text = f"{name} answered with status {status}. {hint.get(status, '')}".strip()
    return NotDelivered(text, is_final=400 <= status < 500 and status not in WORTH_ANOTHER_TRY)
