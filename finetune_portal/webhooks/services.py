"""Takes webhook deliveries in milliseconds, digests them later by asking the upstream itself."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.timezone import now

from finetune_portal import env
from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import pace
from finetune_portal.jobs import sync
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import Source
from finetune_portal.segmind import SegmindError
from finetune_portal.webhooks.models import Delivery, Hook

BOTH_VALID = timedelta(hours=24)
ID_NAMES = ("finetune_id", "request_id", "id", "job_id")
EVENT_NAMES = ("status", "event", "event_type", "type")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def is_valid(token: str) -> bool:
    alive = Q(expires=None) | Q(expires__gt=now())
    return Hook.objects.filter(alive, token_hash=_hash(token)).exists()


def new_address(*, actor: User) -> str:
    """A fresh address, shown this once; the one before stays valid for a day."""
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        Hook.objects.filter(expires=None).update(expires=now() + BOTH_VALID)
        hook = Hook.objects.create(token_hash=_hash(token))
        record(actor, "webhook.rotate", hook)
    return settings.PORTAL_URL + _path(token)


def local_hook_url() -> str:
    """The address that the local engine on this machine reports to."""
    token = env.made_once(Path(settings.DATA_DIR) / "secrets" / "engine-hook")
    Hook.objects.get_or_create(token_hash=_hash(token))
    return f"http://127.0.0.1:{env.integer('PORT', 8000)}" + _path(token)


def _path(token: str) -> str:
    return reverse("webhooks:receive", args=[token])


def accept(body: bytes) -> None:
    """Store what came. Nothing in it is believed: it only names a job to look at."""
    told = _read(body)
    Delivery.objects.create(
        event=_first(told, EVENT_NAMES)[:60],
        request_id=_first(told, ID_NAMES)[:100],
        size=len(body),
    )


def _read(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    inner = told.get("data")
    return {**inner, **told} if isinstance(inner, dict) else told


def _first(told: dict[str, Any], names: tuple[str, ...]) -> str:
    values = (told.get(name) for name in names)
    text = next((value for value in values if isinstance(value, str) and value), "")
    return "".join(c for c in text if c.isprintable())


def digest_next() -> bool:
    """Ask the upstream about the job that the oldest delivery names; without a name, list all.

    Only deliveries that came before the question count as answered: a later one may tell of news.
    """
    just = now() - timedelta(seconds=min(sync.NEWS_SECONDS, settings.POLL_SECONDS))
    asked_just_now = Delivery.objects.filter(digested__gt=just).exclude(request_id="").values("request_id")
    waiting = Delivery.objects.filter(digested=None)
    delivery = waiting.exclude(request_id__in=asked_just_now).order_by("pk").first()
    if delivery is None:
        return False
    asked = now()
    job, outcome = _look_up(delivery.request_id)
    if job is None:
        sync.look_again()
    same = waiting.filter(request_id=delivery.request_id, received__lte=asked)
    same.update(digested=now(), outcome=outcome[:200], job=job)
    return True


def _look_up(request_id: str) -> tuple[Job | None, str]:
    """The job, brought in line, and what to note; None where the list has to tell."""
    job = Job.objects.filter(request_id=request_id).first() if request_id else None
    if job is None:
        return None, "No job of ours is named; listed all"
    if not pace.take(job.connection, pace.DETAILS):
        return None, "No call to spare; the next list tells it"
    try:
        sync.refresh_one(job, source=Source.WEBHOOK)
    except SegmindError as exc:
        return None, f"The upstream could not be asked: {exc.message}"
    return job, f"Looked up: {job.status_text}"
