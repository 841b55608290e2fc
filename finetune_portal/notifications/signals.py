"""Remove the channels of an account whose other ways in end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.dispatch import receiver

from finetune_portal.accounts.models import User
from finetune_portal.accounts.services import other_ways_in_ended
from finetune_portal.notifications import services
from finetune_portal.notifications.models import Channel
from finetune_portal.web.errors import ActionError


@receiver(other_ways_in_ended)
def remove_channels(person: User, **_: Any) -> None:
    for channel in Channel.objects.filter(owner=person):
        with suppress(ActionError):  # it was deleted meanwhile
            services.remove(channel, actor=None)
