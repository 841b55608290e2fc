"""Write to the audit record inside the transaction of the change, and delete the oldest entries."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Model
from django.utils.timezone import now

from finetune_portal.audit.models import AuditEvent
from finetune_portal.web import request_context

BATCH = 1000


def record(
    actor: AbstractBaseUser | None, action: str, thing: Model, /, **detail: str | int | float | None
) -> None:
    """Record an action. `actor` is None for the portal itself; `detail` holds no secret and no signed URL."""
    context = request_context.current()
    if context.token:
        detail["token"] = context.token
    AuditEvent.objects.create(
        actor_id=actor.pk if actor else None,
        action=action,
        thing=f"{thing._meta.model_name} {thing.pk}",
        detail=detail,
        address=context.address,
        request_id=context.request_id,
    )


def delete_old() -> bool:
    """Delete a batch of entries older than AUDIT_KEEP_DAYS. Return False when nothing is left."""
    if not settings.AUDIT_KEEP_DAYS:
        return False
    limit = now() - timedelta(days=settings.AUDIT_KEEP_DAYS)
    old = list(AuditEvent.objects.filter(at__lt=limit).order_by("pk").values_list("pk", flat=True)[:BATCH])
    AuditEvent.objects.filter(pk__in=old).delete()
    return bool(old)
