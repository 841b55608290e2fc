"""Send webhooks: each event is a row, written in the commit of its state, and sent until it is accepted.

Headers, signature and retries follow Standard Webhooks (www.standardwebhooks.com). A dead receiver never
holds up a job; after a crash an event may arrive twice, with the same `webhook-id`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import random
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from finetune_portal.engine import fetch, job_urls, states
from finetune_portal.engine.models import Delivery, Job, Webhook
from finetune_portal.engine.poller import MAX_SLEEP, Poller

FINETUNE = "FINETUNE"  # the event type is ours; which word the vendor uses is not documented
# Seconds before each try, scaled by ENGINE_TIME_SCALE; about three days in all.
RETRY_PLAN = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.1
TIMEOUT = 15.0

_random = random.SystemRandom()


def adopt_operators_webhook() -> None:
    """Register ENGINE_WEBHOOK_URL as the webhook, or drop the one that the variable named before."""
    with transaction.atomic():
        Webhook.objects.filter(is_trusted=True).exclude(url="").update(url="")  # of version 0.1
        if settings.WEBHOOK_URL:
            Webhook.objects.filter(is_active=True, is_trusted=False).update(is_active=False)
            defaults = {"types": [FINETUNE], "note": ""}
            Webhook.objects.update_or_create(is_trusted=True, is_active=True, defaults=defaults)
        else:
            Webhook.objects.filter(is_active=True, is_trusted=True).update(is_active=False)


def announce(job: Job) -> None:
    """Write the event of the job's new state. Call inside the transaction that sets it."""
    webhook = Webhook.objects.filter(is_active=True).first()
    if webhook is None or FINETUNE not in webhook.types:
        return
    body = json.dumps(_event(job))
    Delivery.objects.create(webhook=webhook, job=job, status=job.state, body=body, due_at=timezone.now())


def _event(job: Job) -> dict[str, str | None]:
    timestamp = job.updated_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event: dict[str, str | None] = {
        "type": f"finetune.{job.state.lower()}",
        "timestamp": timestamp,
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


def _send_due() -> float:
    """Send all that is due, oldest first; return how long to sleep."""
    while not poller.is_stopping:
        rows = Delivery.objects.filter(due_at__isnull=False).select_related("webhook")
        delivery = rows.order_by("due_at", "created_at").first()
        if delivery is None or delivery.due_at is None:
            break
        seconds = (delivery.due_at - timezone.now()).total_seconds()
        if seconds > 0:
            return float(seconds)
        _deliver(delivery)
    return MAX_SLEEP


def _deliver(delivery: Delivery) -> None:
    """Try once, and write down the answer and when the next try is."""
    if not delivery.webhook.is_active:
        _save_result(delivery, "not sent: the webhook is inactive", None)
        return
    answer = _post(delivery)
    if answer.isdecimal() and 200 <= int(answer) < 300:
        _save_result(delivery, answer, None, sent_at=timezone.now())
        return
    if answer == "410":  # the receiver wants no more
        fields = {"is_active": False, "note": "The receiver answered 410: gone."}
        Webhook.objects.filter(pk=delivery.webhook_id).update(**fields)
        _save_result(delivery, answer, None)
        return
    _save_result(delivery, answer, _next_try(delivery.tries + 1))


def _next_try(tries: int) -> datetime | None:
    if tries >= len(RETRY_PLAN):
        return None
    seconds = RETRY_PLAN[tries] * settings.TIME_SCALE * _random.uniform(1 - JITTER, 1 + JITTER)
    return timezone.now() + timedelta(seconds=seconds)


def _save_result(
    delivery: Delivery, answer: str, due_at: datetime | None, *, sent_at: datetime | None = None
) -> None:
    fields = {"answer": answer, "due_at": due_at, "sent_at": sent_at, "tries": delivery.tries + 1}
    Delivery.objects.filter(pk=delivery.pk).update(**fields)


def _post(delivery: Delivery) -> str:
    """The status of the response as text, or why there is none. A redirect is a response, not followed."""
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
            delivery.webhook.address,
            allow=None if delivery.webhook.is_trusted else [*fetch.LOOPBACK, *settings.FETCH_ALLOW],
            timeout=TIMEOUT,
            headers=headers,
            body=body,
        ) as response:
            return str(response.status)
    except fetch.FetchError as error:
        return str(error)


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


poller = Poller("outbox", _send_due)
