"""Write a line of the record, inside the transaction of the change itself; and forget the oldest ones."""

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
    """`actor` is None when the portal itself acted. No secret and no signed URL in `detail`."""
    came = request_context.current()
    if came.token:
        detail["token"] = came.token
    AuditEvent.objects.create(
        actor_id=actor.pk if actor else None,
        action=action,
        thing=f"{thing._meta.model_name} {thing.pk}",
        detail=detail,
        address=came.address,
        request_id=came.request_id,
    )


def forget_old() -> bool:
    """Delete some of what is older than the setting. False when nothing is left to delete."""
    if not settings.AUDIT_KEEP_DAYS:
        return False
    limit = now() - timedelta(days=settings.AUDIT_KEEP_DAYS)
    old = list(AuditEvent.objects.filter(at__lt=limit).order_by("pk").values_list("pk", flat=True)[:BATCH])
    AuditEvent.objects.filter(pk__in=old).delete()
    return bool(old)
