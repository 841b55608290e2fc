"""What the team page lists, in a handful of queries however many people there are."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.db.models.functions import Lower
from django.utils.timezone import now

from finetune_portal.accounts import second_factor, throttle
from finetune_portal.accounts.models import Invitation, User


def people() -> list[User]:
    """With `jobs`, `has_second_factor` and `is_locked`; who is active first."""
    factors = Authenticator.objects.filter(user=OuterRef("pk"), type__in=second_factor.KINDS)
    rows = User.objects.annotate(jobs=Count("job"), has_second_factor=Exists(factors))
    locked = throttle.locked()
    listed: list[User] = list(rows.order_by("-is_active", Lower("name"), "pk"))
    for person in listed:
        person.is_locked = person.email in locked  # type: ignore[attr-defined]
    return listed


def open_invitations() -> QuerySet[Invitation]:
    return Invitation.objects.filter(expires__gt=now()).select_related("invited_by").order_by("-pk")
