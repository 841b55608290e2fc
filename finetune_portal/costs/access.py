"""Whose costs a person sees: admins all, others what they started, of jobs and projects they still see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

from finetune_portal.accounts.models import User
from finetune_portal.costs.models import Approval, Cost
from finetune_portal.projects import access as projects


def open_approvals(user: User) -> QuerySet[Approval]:
    """What waits for an approval, the oldest first."""
    waiting = Approval.objects.filter(cost__in=visible(user).filter(state=Cost.State.APPROVAL))
    return waiting.select_related("cost__person", "cost__connection").order_by("pk")


# The keys of jobs that are hidden from a person. The app of jobs adds its own when it starts (apps.py).
HIDDEN_JOBS: list[Callable[[User], QuerySet[Any, Any]]] = []


def visible(user: User) -> QuerySet[Cost]:
    if not user.is_active:
        return Cost.objects.none()
    if user.can_administer:
        return Cost.objects.all()
    rows = Cost.objects.filter(projects.is_seen(user), person=user)
    for keys in HIDDEN_JOBS:
        rows = rows.exclude(job__in=keys(user))
    return rows
