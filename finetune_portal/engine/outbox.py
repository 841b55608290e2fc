"""Webhooks out: each event is a row, written in the commit of its state, and sent until it is taken.

Headers, signature and repetition follow Standard Webhooks (www.standardwebhooks.com). A dead receiver
never holds up a job; after a crash an event may arrive twice, with the same `webhook-id`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
import random
import threading
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import OperationalError, connections, transaction
from django.utils import timezone

from finetune_portal.engine import fetch, job_urls, states
from finetune_portal.engine.models import Delivery, Job, Webhook

FINETUNE = "FINETUNE"  # the event type of ours; which word the vendor uses is not documented
# Seconds before each try, scaled by ENGINE_TIME_SCALE; about three days in all.
PLAN = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.1
TIMEOUT = 15.0
LONGEST_NAP = 1.0

bell = threading.Event()
_stopping = threading.Event()
_random = random.SystemRandom()

log = logging.getLogger(__name__)


def start() -> None:
    threading.Thread(target=_watch, name="outbox", daemon=True).start()


def stop() -> None:
    _stopping.set()
    bell.set()


def adopt_operators_webhook() -> None:
    """Make ENGINE_WEBHOOK_URL the registered webhook, or forget the one that it named before."""
    with transaction.atomic():
        if settings.WEBHOOK_URL:
            Webhook.objects.filter(active=True).exclude(url=settings.WEBHOOK_URL).update(active=False)
            told = {"types": [FINETUNE], "trusted": True, "note": ""}
            Webhook.objects.update_or_create(url=settings.WEBHOOK_URL, active=True, defaults=told)
        else:
            Webhook.objects.filter(active=True, trusted=True).update(active=False)


def announce(job: Job) -> None:
    """Write the event of the job's new state. Call inside the transaction that sets it."""
    webhook = Webhook.objects.filter(active=True).first()
    if webhook is None or FINETUNE not in webhook.types:
        return
    body = json.dumps(_event(job))
    Delivery.objects.create(webhook=webhook, job=job, status=job.state, body=body, due=timezone.now())


def _event(job: Job) -> dict[str, str | None]:
    event: dict[str, str | None] = {
        "type": f"finetune.{job.state.lower()}",
        "timestamp": job.changed.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "finetune_id": str(job.pk),
        "name": job.name,
        "status": job.state,
    }
    if job.state == states.TRAINING_COMPLETED:
        event["trained_model_url"] = job_urls.weights_url(job, job.base_url)
    if job.state == states.AVAILABLE:
        event["inference_api_url"] = job_urls.inference_url(job)
    if job.state == states.FAILED:
        event["error_message"] = job.error_message
    return event


def _watch() -> None:
    while not _stopping.is_set():
        nap = LONGEST_NAP
        try:
            nap = _send_due()
        except OperationalError:
            log.exception("The database did not answer.")
        bell.wait(nap)
        bell.clear()
    connections.close_all()


def _send_due() -> float:
    """Send all that is due, oldest first; return how long to sleep."""
    while not _stopping.is_set():
        rows = Delivery.objects.filter(due__isnull=False).select_related("webhook")
        delivery = rows.order_by("due", "created").first()
        if delivery is None or delivery.due is None:
            break
        wait = (delivery.due - timezone.now()).total_seconds()
        if wait > 0:
            return float(min(LONGEST_NAP, wait))
        _try(delivery)
    return LONGEST_NAP


def _try(delivery: Delivery) -> None:
    if not delivery.webhook.active:
        _note(delivery, "not sent: the webhook is inactive", None)
        return
    answer = _send(delivery)
    if answer.isdecimal() and 200 <= int(answer) < 300:
        _note(delivery, answer, None, sent=timezone.now())
        return
    if answer == "410":  # the receiver wants no more
        note = {"active": False, "note": "The receiver answered 410: gone."}
        Webhook.objects.filter(pk=delivery.webhook_id).update(**note)
        _note(delivery, answer, None)
        return
    tries = delivery.tries + 1
    wait = PLAN[tries] * settings.TIME_SCALE if tries < len(PLAN) else None
    if wait is not None:
        wait *= _random.uniform(1 - JITTER, 1 + JITTER)
    _note(delivery, answer, None if wait is None else timezone.now() + timedelta(seconds=wait))


def _note(delivery: Delivery, answer: str, due: datetime | None, *, sent: datetime | None = None) -> None:
    told = {"answer": answer, "due": due, "sent": sent, "tries": delivery.tries + 1}
    Delivery.objects.filter(pk=delivery.pk).update(**told)


def _send(delivery: Delivery) -> str:
    """The status of the answer as text, or why there was none. Redirects are an answer, not followed."""
    body = delivery.body.encode()
    stamp = str(int(timezone.now().timestamp()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "finetune-portal-engine",
        "webhook-id": str(delivery.pk),
        "webhook-timestamp": stamp,
    }
    if settings.WEBHOOK_SECRET:
        headers["webhook-signature"] = signature(settings.WEBHOOK_SECRET, str(delivery.pk), stamp, body)
    try:
        with fetch.call(
            "POST",
            delivery.webhook.url,
            allow=None if delivery.webhook.trusted else [*fetch.LOOPBACK, *settings.FETCH_ALLOW],
            timeout=TIMEOUT,
            headers=headers,
            body=body,
        ) as answer:
            return str(answer.status)
    except fetch.FetchFailed as failed:
        return str(failed)


def signature(secret: str, message_id: str, stamp: str, body: bytes) -> str:
    """Standard Webhooks: HMAC-SHA256 over id, time and raw body; a `whsec_` secret is base64."""
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = secret.encode()
    signed = hmac.new(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"
