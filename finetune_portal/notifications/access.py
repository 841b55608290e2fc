"""Which channels a person may see and change, their own and for admins the team's, and their history."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.notifications.models import Channel, HistoryEntry, Notification
from finetune_portal.projects import access as projects


def visible(user: User) -> QuerySet[Channel]:
    """Annotated with `is_sending`: whether a message is on its way."""
    own = Q(owner=user)
    waiting = Notification.objects.filter(channel=OuterRef("pk"), finished_at=None)
    rows = Channel.objects.filter(own | Q(owner=None) if user.can_administer else own)
    return rows.annotate(is_sending=Exists(waiting)).order_by("pk")


def channel_to_change(user: User, pk: int) -> Channel:
    return get_object_or_404(visible(user), pk=pk)


def history(user: User) -> QuerySet[HistoryEntry]:
    """What the bell lists for this person, without jobs that they can no longer see.

    Connections and budgets are the business of admins, so whoever is none any more does not see them.
    """
    rows = HistoryEntry.objects.filter(projects.is_seen(user, "job__project"), person=user)
    return rows if user.can_administer else rows.exclude(job=None)
