"""The number on the bell, by one query."""

from __future__ import annotations

from django import template

from finetune_portal.accounts.models import User
from finetune_portal.notifications import history

register = template.Library()


@register.simple_tag
def unread_text(user: User) -> str:
    """How many notifications are unread: empty, 3, or 99+."""
    count = history.unread_count(user)
    return f"{history.MOST_COUNTED}+" if count > history.MOST_COUNTED else str(count or "")
