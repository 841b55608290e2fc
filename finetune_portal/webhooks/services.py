"""Store webhook deliveries at once, and process them later by asking the provider itself.

Also make the endpoints that they are posted to, and delete old deliveries.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.timezone import now

from finetune_portal import env
from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import rate_limit
from finetune_portal.jobs.display import status_text
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync import details, poll
from finetune_portal.jobs.timeline import Source
from finetune_portal.providers.errors import CallError
from finetune_portal.webhooks.models import Delivery, Endpoint, SelfTest

ROTATION_OVERLAP = timedelta(hours=24)
RETENTION, MAX_DELIVERIES = timedelta(days=30), 100_000
DELETE_BATCH = 500  # rows per transaction, so that no delivery waits long
ID_NAMES = ("finetune_id", "request_id", "id", "job_id")
EVENT_NAMES = ("status", "event", "event_type", "type")


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def receive_path(token: str) -> str:
    return reverse("webhooks:receive", args=[token])


def active_endpoints() -> QuerySet[Endpoint]:
    return Endpoint.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now()))


def endpoint_for_token(token: str) -> Endpoint | SelfTest | None:
    """The endpoint or self-test of this token."""
    key = sha256_of(token)
    return (
        active_endpoints().filter(token_hash=key).first()
        or SelfTest.objects.filter(token_hash=key, finished_at=None).first()
    )


def secret_of(endpoint: Endpoint | SelfTest) -> str:
    """The secret that signs its deliveries; empty if there is none."""
    is_engine = isinstance(endpoint, Endpoint) and endpoint.is_local_engine
    return settings.ENGINE_WEBHOOK_SECRET if is_engine else settings.SEGMIND_WEBHOOK_SECRET


def new_address(*, actor: User) -> str:
    """A new address, shown only once; the one before stays valid for a day."""
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        Endpoint.objects.filter(expires_at=None, is_local_engine=False).update(
            expires_at=now() + ROTATION_OVERLAP
        )
        endpoint = Endpoint.objects.create(token_hash=sha256_of(token))
        record(actor, "webhook.rotate", endpoint)
    return urljoin(settings.PORTAL_URL, receive_path(token))


def local_endpoint_url() -> str:
    """The address that the local engine on this machine posts to."""
    token = env.made_once(Path(settings.DATA_DIR) / "secrets" / "engine-hook")
    defaults = {"is_local_engine": True, "expires_at": None}
    Endpoint.objects.update_or_create(token_hash=sha256_of(token), defaults=defaults)
    return settings.WEB_URL + receive_path(token)


def store_delivery(endpoint: Endpoint | SelfTest, body: bytes, message_id: str = "") -> None:
    """Store a delivery. Nothing in it is trusted: it only names a job to ask the provider about.

    `message_id` is the one of a signed delivery: a repeated one is stored once.
    """
    if isinstance(endpoint, SelfTest):
        SelfTest.objects.filter(pk=endpoint.pk).update(arrived_at=now())
        return
    payload = _read(body)
    delivery = Delivery(
        event=_first(payload, EVENT_NAMES)[:60],
        request_id=_first(payload, ID_NAMES)[:100],
        message_hash=sha256_of(message_id) if message_id else None,
        size=len(body),
    )
    Delivery.objects.bulk_create([delivery], ignore_conflicts=True)


def note_unsigned(endpoint: Endpoint | SelfTest) -> None:
    """Store that a request without the right signature was rejected."""
    if isinstance(endpoint, Endpoint):
        Endpoint.objects.filter(pk=endpoint.pk).update(last_unsigned_at=now())


def _read(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(payload, dict):
        return {}
    inner = payload.get("data")
    return {**inner, **payload} if isinstance(inner, dict) else payload


def _first(payload: dict[str, Any], names: tuple[str, ...]) -> str:
    values = (payload.get(name) for name in names)
    text = next((value for value in values if isinstance(value, str) and value), "")
    return "".join(c for c in text if c.isprintable())


def process_next_delivery() -> bool:
    """Ask the provider about the job that the oldest delivery names; without a name, list all.

    Only deliveries that arrived before the request are done with it: a later one may announce a change.
    """
    recently = now() - timedelta(seconds=min(poll.MIN_POLL_SECONDS, settings.POLL_SECONDS))
    just_asked = (
        Delivery.objects.filter(processed_at__gt=recently).exclude(request_id="").values("request_id")
    )
    waiting = Delivery.objects.filter(processed_at=None, message=None)  # the others: signed.py
    delivery = waiting.exclude(request_id__in=just_asked).order_by("pk").first()
    if delivery is None:
        return False
    asked = now()
    job, result, outcome = _look_up(delivery.request_id)
    if result != Delivery.Result.LOOKED_UP:
        poll.poll_soon()
    same = waiting.filter(request_id=delivery.request_id, received_at__lte=asked)
    same.update(processed_at=now(), result=result, outcome=outcome[:200], job=job)
    return True


def _look_up(request_id: str) -> tuple[Job | None, Delivery.Result, str]:
    """Update the job and return it with the result. If the provider cannot be asked, the list will tell."""
    job = Job.objects.filter(request_id=request_id).first() if request_id else None
    if job is None:
        return None, Delivery.Result.LISTED, "It names no job of the portal; all were listed"
    if not rate_limit.take_call(job.connection, reserve=rate_limit.DETAILS):
        return job, Delivery.Result.NOT_ASKED, "No calls left; the next list will tell"
    try:
        details.refresh(job, source=Source.WEBHOOK)
    except CallError as exc:
        return job, Delivery.Result.NOT_ASKED, f"The provider could not be asked: {exc.message}"
    return job, Delivery.Result.LOOKED_UP, f"Looked up: {status_text(job)}"


def delete_old() -> bool:
    """Delete a batch of the deliveries that are too old or too many. False if none is left."""
    newest = Delivery.objects.order_by("-pk").values_list("pk", flat=True)
    beyond = newest[MAX_DELIVERIES : MAX_DELIVERIES + 1].first()
    old = Q(received_at__lt=now() - RETENTION)
    if beyond is not None:
        old |= Q(pk__lte=beyond)
    keys = list(Delivery.objects.filter(old).order_by("pk").values_list("pk", flat=True)[:DELETE_BATCH])
    Delivery.objects.filter(pk__in=keys).delete()
    return len(keys) == DELETE_BATCH
