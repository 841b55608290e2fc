"""Write to the audit record inside the transaction of the change, redact it, delete the oldest entries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Model, Q
from django.utils.timezone import now

from finetune_portal.audit.models import AuditEvent
from finetune_portal.web import request_context

BATCH = 1000
# How a part stands in a list with commas: alone, first, last, or between others.
LISTED = {"": "{}", "__istartswith": "{}, ", "__iendswith": ", {}", "__icontains": ", {}, "}


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
        thing=_name(thing),
        detail=detail,
        address=context.address,
        request_id=context.request_id,
    )


def redact(things: Iterable[Model], *, actions: Iterable[str] = ()) -> None:
    """Remove the details of all entries about things that are deleted: names, and what was changed.

    Who did what to which number, when and from where, stays. `actions`: only of entries of these.
    """
    names = [_name(thing) for thing in things]
    events = AuditEvent.objects.filter(action__in=list(actions)) if actions else AuditEvent.objects.all()
    for start in range(0, len(names), BATCH):
        events.filter(thing__in=names[start : start + BATCH]).update(detail={})


def names_of(thing: Model) -> set[str]:
    """All names that a thing has had, by the entries about it."""
    details = AuditEvent.objects.filter(thing=_name(thing)).values_list("action", "detail")
    keys = {f"{thing._meta.model_name}.rename": ("before", "after")}
    named = (detail.get(key) for action, detail in details for key in ("name", *keys.get(action, ())))
    return {str(name) for name in named if name} | {str(thing)}


def redact_values(actions: Iterable[str], values: Iterable[str]) -> None:
    """Remove the details of entries of these actions that have one of the values as old or as new one."""
    is_named = Q(detail__before__in=list(values)) | Q(detail__after__in=list(values))
    AuditEvent.objects.filter(is_named, action__in=list(actions)).update(detail={})


def redact_parts(actions: Iterable[str], key: str, parts: Iterable[str]) -> None:
    """Remove the details of entries of these actions whose detail `key`, a list with commas, has one part."""
    is_named = Q()
    for part in parts:
        for ending, form in LISTED.items():
            is_named |= Q(**{f"detail__{key}{ending}": form.format(part)})
    AuditEvent.objects.filter(is_named, action__in=list(actions)).update(detail={})


def _name(thing: Model) -> str:
    return f"{thing._meta.model_name} {thing.pk}"


def delete_old() -> bool:
    """Delete a batch of entries older than AUDIT_KEEP_DAYS. Return False when nothing is left."""
    if not settings.AUDIT_KEEP_DAYS:
        return False
    limit = now() - timedelta(days=settings.AUDIT_KEEP_DAYS)
    old = list(AuditEvent.objects.filter(at__lt=limit).order_by("pk").values_list("pk", flat=True)[:BATCH])
    AuditEvent.objects.filter(pk__in=old).delete()
    return bool(old)
