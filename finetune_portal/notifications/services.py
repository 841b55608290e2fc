"""Add, test, switch and remove channels. The worker sends the messages."""

from __future__ import annotations

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.notifications.models import Channel, Event, Notification
from finetune_portal.web import encryption


def add(*, actor: User, kind: str, address: str, display_address: str, label: str, for_team: bool) -> Channel:
    """Add a channel and send it a first message, so that a mistake shows at once."""
    owner = None if for_team else actor
    encrypted_address = encryption.encrypt(address)
    with transaction.atomic():
        channel = Channel.objects.create(
            owner=owner,
            kind=kind,
            label=label,
            display_address=display_address,
            encrypted_address=encrypted_address,
        )
        Notification.objects.create(channel=channel, event=Event.TEST)
        record(actor, "notice.add", channel, to=display_address, whose="team" if for_team else "own")
    return channel


def test(channel: Channel, *, actor: User) -> None:
    """Send a test, unless one is on its way."""
    with transaction.atomic():
        tests = Notification.objects.filter(channel=channel, event=Event.TEST, finished_at=None)
        if not tests.exists():
            Notification.objects.create(channel=channel, event=Event.TEST)
            record(actor, "notice.test", channel, to=channel.display_address)


def switch(channel: Channel, event: Event, *, on: bool, actor: User) -> None:
    """Switch one event. What happens while it is off is never sent."""
    name = f"is_subscribed_to_{event}"
    with transaction.atomic():
        changed = Channel.objects.filter(pk=channel.pk, **{name: not on}).update(**{name: on})
        if changed:
            if on:
                Channel.objects.filter(pk=channel.pk).update(subscribed_at=now())
            record(actor, "notice.switch", channel, event=event.value, on=on)


def remove(channel: Channel, *, actor: User | None) -> None:
    with transaction.atomic():
        record(actor, "notice.remove", channel, to=channel.display_address)
        channel.delete()
