"""Deliver one message to one channel: e-mail by the operator's mail server, the rest through Apprise."""

from __future__ import annotations

from finetune_portal.accounts import emails
from finetune_portal.notifications import apprise_client
from finetune_portal.notifications.messages import Message
from finetune_portal.notifications.models import Channel
from finetune_portal.web import encryption

KEY_LOST = "The encryption key of this address is gone. Delete the channel and add it again."


class DeliveryError(Exception):
    """The text is for people, without the address. `is_final`: another try would end the same way."""

    def __init__(self, text: str, *, is_final: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final


def deliver(channel: Channel, message: Message) -> None:
    """Raises DeliveryError."""
    try:
        address = encryption.decrypt(channel.encrypted_address)
    except encryption.KeyLostError:
        raise DeliveryError(KEY_LOST, is_final=True) from None
    try:
        if channel.kind == Channel.Kind.EMAIL:
            emails.deliver(message.subject, message.body, to=address)
        else:
            apprise_client.send(address, title=message.subject, body=message.body)
    except (emails.MailError, apprise_client.SendError) as exc:
        raise DeliveryError(str(exc), is_final=exc.is_final) from None
