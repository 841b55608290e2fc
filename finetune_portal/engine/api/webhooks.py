"""The webhook endpoints, at the paths that the vendor's SDK calls (segmind.webhooks).

The SDK uses another host for them than for the API; here the host is the same. The vendor does not document
the shapes of its responses (docs/provider-api.md, 7.3); these are ours.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from finetune_portal.engine.api.endpoint import ApiError, Fields, endpoint, text
from finetune_portal.engine.api.submission import url
from finetune_portal.engine.models import Delivery, Webhook

LATEST = 100


@endpoint("GET", "HEAD")
def listing(request: HttpRequest, fields: Fields) -> HttpResponse:
    webhooks = Webhook.objects.filter(is_active=True)
    return JsonResponse({"webhooks": [_webhook_body(webhook) for webhook in webhooks]})


@endpoint("POST")
def add(request: HttpRequest, fields: Fields) -> HttpResponse:
    """Register the webhook. There is one at a time (docs/provider-api.md, 7.1): delete the old one first."""
    try:
        with transaction.atomic():
            webhook = Webhook.objects.create(url=url(fields, "webhook_url"), types=_types(fields))
    except IntegrityError:
        raise ApiError(409, "There is a webhook already. Delete it before you add a new one.") from None
    return JsonResponse(_webhook_body(webhook))


@endpoint("POST")
def update(request: HttpRequest, fields: Fields) -> HttpResponse:
    """Change the active webhook. A deleted one stays deleted, as there is one at a time."""
    webhook = _webhook(fields)
    if not webhook.is_active:
        raise ApiError(409, "This webhook is no longer active. Add a new one.")
    if webhook.is_trusted:
        raise ApiError(409, "This webhook is set by ENGINE_WEBHOOK_URL and is changed there.")
    webhook.url, webhook.types = url(fields, "webhook_url"), _types(fields)
    webhook.save(update_fields=["url", "types"])
    return JsonResponse(_webhook_body(webhook))


@endpoint("GET", "POST")
def inactive(request: HttpRequest, fields: Fields) -> HttpResponse:
    """Delete the webhook. The SDK does it by a GET."""
    webhook = _webhook(fields)
    Webhook.objects.filter(pk=webhook.pk).update(is_active=False, note="Deleted.")
    webhook.refresh_from_db()
    return JsonResponse(_webhook_body(webhook))


@endpoint("GET", "HEAD")
def dispatch_logs(request: HttpRequest, fields: Fields) -> HttpResponse:
    deliveries = _webhook(fields).deliveries.order_by("-created_at")[:LATEST]
    return JsonResponse({"logs": [_delivery_body(delivery) for delivery in deliveries]})


def _webhook(fields: Fields) -> Webhook:
    try:
        return Webhook.objects.get(pk=uuid.UUID(text(fields, "webhook_id", longest=100)))
    except (ValueError, Webhook.DoesNotExist):
        raise ApiError(404, "There is no webhook with this webhook_id.") from None


def _types(fields: Fields) -> list[str]:
    event = fields.get("event")
    types = event.get("types") if isinstance(event, dict) else None
    if not (isinstance(types, list) and types and all(isinstance(each, str) for each in types)):
        raise ApiError(422, "event.types must be a list of event types, such as FINETUNE.")
    return [each.upper() for each in types]


def _webhook_body(webhook: Webhook) -> dict[str, Any]:
    return {
        "webhook_id": str(webhook.pk),
        "webhook_url": webhook.address,
        "event": {"types": webhook.types},
        "is_active": webhook.is_active,
        "note": webhook.note or None,
    }


def _delivery_body(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": str(delivery.pk),
        "finetune_id": str(delivery.job_id),
        "status": delivery.status,
        "tries": delivery.tries,
        "answer": delivery.answer or None,
        "delivered": delivery.sent_at is not None,
        "next_try": delivery.due_at.isoformat() if delivery.due_at else None,
    }
