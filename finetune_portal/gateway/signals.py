"""Revoke the tokens of an account whose other ways in end."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from finetune_portal.accounts.models import User
from finetune_portal.accounts.services import other_ways_in_ended
from finetune_portal.gateway import services
from finetune_portal.gateway.models import PersonalToken


@receiver(other_ways_in_ended)
def revoke_tokens(person: User, **_: Any) -> None:
    for token in PersonalToken.objects.filter(owner=person, revoked_at=None):
        services.revoke(token, actor=None)
