"""Users and invitations for the team page, in a constant number of queries."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Lower
from django.utils.timezone import now

from finetune_portal.accounts import second_factor, slow_down, throttle
from finetune_portal.accounts.models import Invitation, User


def users() -> list[User]:
    """Return all users, active ones first, with `has_second_factor` and `is_locked`."""
    factors = Authenticator.objects.filter(user=OuterRef("pk"), type__in=second_factor.TYPES)
    rows = User.objects.annotate(has_second_factor=Exists(factors))
    users: list[User] = list(rows.order_by("-is_active", Lower("name"), "pk"))
    locked = throttle.locked_emails() | slow_down.paused(person.email for person in users)
    for person in users:
        person.is_locked = person.email in locked  # type: ignore[attr-defined]
    return users


def open_invitations() -> QuerySet[Invitation]:
    return Invitation.objects.filter(expires_at__gt=now()).select_related("invited_by").order_by("-pk")
