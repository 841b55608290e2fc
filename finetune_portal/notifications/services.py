"""Add, test, switch and remove channels. The worker sends the messages."""

from __future__ import annotations

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.notifications import confirmation
from finetune_portal.notifications.models import Channel, Event, Notification
from finetune_portal.web import encryption
from finetune_portal.web.errors import ActionError

GONE = "The channel was deleted meanwhile, so nothing was changed."


def add(*, actor: User, kind: str, address: str, display_address: str, label: str, for_team: bool) -> Channel:
    """Add a channel and send it a first message: a test, or a link where the address is to be confirmed.

    Raises ActionError for one message too many.
    """
    owner = None if for_team else actor
    is_proven = confirmation.is_proven(actor, kind, address)
    confirmation.take(actor, address, is_proven=is_proven)
    encrypted_address = encryption.encrypt(address)
    with transaction.atomic():
        channel = Channel.objects.create(
            owner=owner,
            kind=kind,
            label=label,
            display_address=display_address,
            encrypted_address=encrypted_address,
            confirmed_at=now() if is_proven else None,
        )
        Notification.objects.create(channel=channel, event=Event.TEST if is_proven else Event.CONFIRM)
        record(actor, "notice.add", channel, to=display_address, whose="team" if for_team else "own")
    return channel


def _lock(channel: Channel) -> None:
    """Raises ActionError where somebody deleted the channel meanwhile."""
    if Channel.objects.select_for_update().filter(pk=channel.pk).first() is None:
        raise ActionError(GONE)


def test(channel: Channel, *, actor: User) -> None:
    """Send a test, or the link again where the address is not confirmed, unless one is on its way.

    Raises ActionError for one message too many, and where the channel was deleted meanwhile.
    """
    event = Event.CONFIRM if channel.confirmed_at is None else Event.TEST
    if Notification.objects.filter(channel=channel, event=event, finished_at=None).exists():
        return
    confirmation.take(actor, channel.display_address, is_proven=event == Event.TEST)
    with transaction.atomic():
        _lock(channel)
        Notification.objects.create(channel=channel, event=event)
        record(
            actor,
            "notice.link" if event == Event.CONFIRM else "notice.test",
            channel,
            to=channel.display_address,
        )


def switch(channel: Channel, event: Event, *, on: bool, actor: User) -> None:
    """Switch one event. What happens while it is off is never sent.

    Raises ActionError where the channel was deleted meanwhile.
    """
    name = f"is_subscribed_to_{event}"
    with transaction.atomic():
        _lock(channel)
        changed = Channel.objects.filter(pk=channel.pk, **{name: not on}).update(**{name: on})
        if changed:
            if on:
                Channel.objects.filter(pk=channel.pk).update(subscribed_at=now())
            record(actor, "notice.switch", channel, event=event.value, on=on)


def remove(channel: Channel, *, actor: User | None) -> None:
    """Raises ActionError where somebody else was faster."""
    with transaction.atomic():
        _lock(channel)
        record(actor, "notice.remove", channel, to=channel.display_address)
        channel.delete()
