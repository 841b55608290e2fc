"""Confirm an e-mail address by a one-time link before anything else is sent there.

So the portal is no relay for mail to strangers: an address that is not the person's own gets this message
alone, and only so many times (`take`). The worker makes the link when it sends it; the row has a hash of it.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from datetime import timedelta
from urllib.parse import urljoin

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.notifications.models import Channel
from finetune_portal.web.errors import ActionError
from finetune_portal.web.shared_cache import count

LIFETIME = timedelta(days=1)
PER_PERSON, HOUR = 10, 3600  # messages by hand: links and tests
PER_PERSON_A_DAY = 30
PER_ADDRESS, DAY = 3, 86_400  # links, over all persons
TOO_MANY = "You have sent many messages within {}. Try again later."
TOO_MANY_THERE = "This address was asked several times today. Try again tomorrow."


def is_proven(actor: User, kind: str, address: str) -> bool:
    """Whether a channel of this person needs no confirmation: no e-mail, or their own that was verified."""
    return kind != Channel.Kind.EMAIL or (actor.is_email_verified and address.lower() == actor.email)


def take(actor: User, address: str, *, is_proven: bool) -> None:
    """Count a message that somebody sends by hand, wherever to. Raises ActionError for one too many."""
    for words, seconds, most in (("an hour", HOUR, PER_PERSON), ("a day", DAY, PER_PERSON_A_DAY)):
        if count(f"messages-by:{actor.pk}:{seconds}", seconds=seconds) > most:
            raise ActionError(TOO_MANY.format(words))
    if not is_proven and count(f"links-to:{_mailbox(address)}", seconds=DAY) > PER_ADDRESS:
        raise ActionError(TOO_MANY_THERE)


def new_link(channel: Channel) -> str | None:
    """Return a new link, which replaces the one before; None where the address is confirmed meanwhile."""
    token = secrets.token_urlsafe(24)
    fields = {"confirmation_hash": _hash(token), "confirmation_expires_at": now() + LIFETIME}
    if not Channel.objects.filter(pk=channel.pk, confirmed_at=None).update(**fields):
        return None
    return urljoin(settings.PORTAL_URL, reverse("notifications:confirm", args=[token]))


def channel_of(token: str) -> Channel | None:
    """Return the channel that a link confirms, or None when it is unknown, used, replaced or expired."""
    return _open(token).first()


def confirm(token: str) -> bool:
    """Confirm the address and use up the link. What happened before is not sent."""
    with transaction.atomic():
        channel = _open(token).select_for_update().first()
        if channel is None:
            return False
        fields = {"confirmed_at": now(), "subscribed_at": now(), "confirmation_hash": "", "last_error": ""}
        Channel.objects.filter(pk=channel.pk).update(**fields)
        record(None, "notice.confirm", channel, to=channel.display_address)
    return True


def _open(token: str) -> QuerySet[Channel]:
    return Channel.objects.filter(
        confirmation_hash=_hash(token), confirmation_expires_at__gt=now(), confirmed_at=None
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _mailbox(address: str) -> str:
    """Return a digest of the mailbox, so that ada+1@example.com is counted as "Ada"@example.com.

    Also where the domain is in other characters that mean the same, or in punycode.
    """
    local, _, domain = address.lower().rpartition("@")
    plain = local.replace("\\", "").strip('"').partition("+")[0].replace(".", "")
    with suppress(UnicodeError):
        domain = domain.encode("idna").decode()
    return hashlib.sha256(f"{plain}@{domain}".encode()).hexdigest()
