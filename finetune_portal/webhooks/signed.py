"""Webhooks that a provider signs, at the address of one attempt: stored at once, verified by the worker.

Who knows an address can store a few messages a day. Only a signed one does more: its job is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Attempt
from finetune_portal.jobs.sync import webhook, webhook_address
from finetune_portal.providers.contract import Capability
from finetune_portal.providers.errors import CallError, SignatureError
from finetune_portal.providers.registry import provider_of
from finetune_portal.queue.leases import backoff, claim, held_by
from finetune_portal.webhooks.models import Delivery, Message

MAX_HEADER = 500  # characters
MOST_A_DAY = 20  # messages that are stored about one job
LEASE = 180.0  # longer than the keys and the job may take
GIVE_UP_AFTER = timedelta(hours=1)

attempt_at = webhook_address.attempt_at


def is_signing(connection: Connection) -> bool:
    """Whether its provider posts signed webhooks, to an address for each attempt."""
    return (
        bool(provider_of(connection.provider).webhook_headers)
        and Capability.WEBHOOKS in connection.capabilities
    )


def headers_to_verify(provider: str, headers: Mapping[str, str]) -> dict[str, str] | None:
    """Those that the signature needs; None if one is missing or cannot be right."""
    names = provider_of(provider).webhook_headers
    kept = {name: headers.get(name, "") for name in names}
    is_usable = all(0 < len(value) <= MAX_HEADER and value.isprintable() for value in kept.values())
    return kept if kept and is_usable else None


def store(attempt: Attempt, headers: Mapping[str, str], body: bytes) -> bool:
    """Store a message, the same one once. False if the job has had as many as a day may bring."""
    digest = hashlib.sha256(repr((attempt.pk, sorted(headers.items()), body)).encode()).hexdigest()
    of_today = Delivery.objects.filter(job=attempt.job, received_at__gt=now() - timedelta(days=1))
    if of_today.count() >= MOST_A_DAY:
        return of_today.filter(message_hash=digest).exists()
    with transaction.atomic():
        fields = {"job": attempt.job, "size": len(body)}
        delivery, is_new = Delivery.objects.get_or_create(message_hash=digest, defaults=fields)
        if is_new:
            Message.objects.create(delivery=delivery, attempt=attempt, headers=dict(headers), body=body)
    return True


def process_next() -> bool:
    """Verify the oldest message, and have its job asked for. False if none is due."""
    rows = Message.objects.select_related("delivery", "attempt__job__connection", "attempt__connection")
    message = claim(rows, seconds=LEASE)
    if message is None:
        return False
    delivery, attempt = message.delivery, message.attempt
    try:
        event = webhook.verify(attempt.sent_by, message.headers, bytes(message.body), delivery.received_at)
        job, outcome = webhook.apply(attempt, event)
    except SignatureError as exc:
        _finish(message, Delivery.Result.UNSIGNED, exc.message)
    except CallError as exc:
        if delivery.received_at < now() - GIVE_UP_AFTER:
            _finish(message, Delivery.Result.NOT_ASKED, f"Could not be verified: {exc.message}")
        else:
            due_at = now() + backoff(message.attempts)
            held_by(message).update(due_at=due_at, lease_expires_at=None)
    else:
        delivery.event, delivery.request_id, delivery.job = event.status[:60], event.id[:100], job
        _finish(message, Delivery.Result.SIGNED, outcome)
    return True


def _finish(message: Message, result: Delivery.Result, outcome: str) -> None:
    """Note the result. The message itself has done its work."""
    delivery = message.delivery
    delivery.processed_at, delivery.result, delivery.outcome = now(), result, outcome[:200]
    with transaction.atomic():
        delivery.save()
        message.delete()
