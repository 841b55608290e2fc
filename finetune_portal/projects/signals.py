"""Remove the memberships of a person who leaves the team."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from finetune_portal.accounts.models import User
from finetune_portal.accounts.services import left_team
from finetune_portal.projects import services


@receiver(left_team)
def remove_memberships(person: User, **_: Any) -> None:
    services.remove_memberships(person)
