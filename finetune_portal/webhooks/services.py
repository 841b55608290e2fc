"""Takes webhook deliveries in milliseconds, digests them later by asking the upstream itself.

Makes the addresses that they come to, and forgets them in time.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

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
from finetune_portal.jobs.sync import sync
from finetune_portal.jobs.timeline import Source
from finetune_portal.providers.segmind import SegmindError
from finetune_portal.webhooks.models import Delivery, Hook, SelfTest

BOTH_VALID = timedelta(hours=24)
KEPT, MOST_KEPT = timedelta(days=30), 100_000
AT_ONCE = 500  # rows forgotten in one go, so that no delivery waits for it
ID_NAMES = ("finetune_id", "request_id", "id", "job_id")
EVENT_NAMES = ("status", "event", "event_type", "type")


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def path_of(token: str) -> str:
    return reverse("webhooks:receive", args=[token])


def alive_hooks() -> QuerySet[Hook]:
    return Hook.objects.filter(Q(expires=None) | Q(expires__gt=now()))


def behind(token: str) -> Hook | SelfTest | None:
    """What this token opens."""
    key = hashed(token)
    return (
        alive_hooks().filter(token_hash=key).first()
        or SelfTest.objects.filter(token_hash=key, done=None).first()
    )


def secret_of(door: Hook | SelfTest) -> str:
    """What its deliveries are signed by; empty where none was agreed on."""
    is_engines = isinstance(door, Hook) and door.is_engines
    return settings.ENGINE_WEBHOOK_SECRET if is_engines else settings.SEGMIND_WEBHOOK_SECRET


def new_address(*, actor: User) -> str:
    """A fresh address, shown this once; the one before stays valid for a day."""
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        Hook.objects.filter(expires=None, is_engines=False).update(expires=now() + BOTH_VALID)
        hook = Hook.objects.create(token_hash=hashed(token))
        record(actor, "webhook.rotate", hook)
    return settings.PORTAL_URL + path_of(token)


def local_hook_url() -> str:
    """The address that the local engine on this machine reports to."""
    token = env.made_once(Path(settings.DATA_DIR) / "secrets" / "engine-hook")
    told = {"is_engines": True, "expires": None}
    Hook.objects.update_or_create(token_hash=hashed(token), defaults=told)
    return f"http://127.0.0.1:{env.integer('PORT', 8000)}" + path_of(token)


def accept(door: Hook | SelfTest, body: bytes, message_id: str = "") -> None:
    """Store what came. Nothing in it is believed: it only names a job to look at.

    `message_id` is that of a signed delivery: the same one, sent again, is not stored again.
    """
    if isinstance(door, SelfTest):
        SelfTest.objects.filter(pk=door.pk).update(arrived=now())
        return
    told = _read(body)
    delivery = Delivery(
        event=_first(told, EVENT_NAMES)[:60],
        request_id=_first(told, ID_NAMES)[:100],
        message_hash=hashed(message_id) if message_id else None,
        size=len(body),
    )
    Delivery.objects.bulk_create([delivery], ignore_conflicts=True)


def turn_away(door: Hook | SelfTest) -> None:
    """Note that a post came whose signature is missing or wrong."""
    if isinstance(door, Hook):
        Hook.objects.filter(pk=door.pk).update(unsigned=now())


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
    job, result, outcome = _look_up(delivery.request_id)
    if result != Delivery.Result.LOOKED_UP:
        sync.look_again()
    same = waiting.filter(request_id=delivery.request_id, received__lte=asked)
    same.update(digested=now(), result=result, outcome=outcome[:200], job=job)
    return True


def _look_up(request_id: str) -> tuple[Job | None, Delivery.Result, str]:
    """The job, brought in line, and what to note. Where it could not be asked, the list has to tell."""
    job = Job.objects.filter(request_id=request_id).first() if request_id else None
    if job is None:
        return None, Delivery.Result.LISTED, "No job of ours is named; listed all"
    if not rate_limit.take(job.connection, rate_limit.DETAILS):
        return job, Delivery.Result.NOT_ASKED, "No call to spare; the next list tells it"
    try:
        sync.refresh_one(job, source=Source.WEBHOOK)
    except SegmindError as exc:
        return job, Delivery.Result.NOT_ASKED, f"The upstream could not be asked: {exc.message}"
    return job, Delivery.Result.LOOKED_UP, f"Looked up: {status_text(job)}"


def forget_old() -> bool:
    """Remove some of what is older than a month or more than can be kept. False: nothing is left."""
    newest = Delivery.objects.order_by("-pk").values_list("pk", flat=True)
    beyond = newest[MOST_KEPT : MOST_KEPT + 1].first()
    old = Q(received__lt=now() - KEPT)
    if beyond is not None:
        old |= Q(pk__lte=beyond)
    keys = list(Delivery.objects.filter(old).order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    Delivery.objects.filter(pk__in=keys).delete()
    return len(keys) == AT_ONCE
