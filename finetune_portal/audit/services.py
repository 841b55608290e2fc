"""Write a line of the record. Call it inside the transaction of the change itself."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Model

from finetune_portal.audit.models import AuditEvent


def record(
    actor: AbstractBaseUser | None, action: str, thing: Model, /, **detail: str | int | float | None
) -> None:
    """`actor` is None when the portal itself acted. No secret and no signed URL in `detail`."""
    label = f"{thing._meta.model_name} {thing.pk}"
    AuditEvent.objects.create(actor_id=actor.pk if actor else None, action=action, thing=label, detail=detail)
