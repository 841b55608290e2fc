"""Write the history of people as things happen, and remove the channels of an account that is shut."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from finetune_portal.accounts.models import User
from finetune_portal.accounts.services import other_ways_in_ended
from finetune_portal.connections import closing
from finetune_portal.connections.models import Connection
from finetune_portal.costs import budgets
from finetune_portal.costs import services as costs
from finetune_portal.costs.models import Budget, Cost
from finetune_portal.jobs.models import JobEvent
from finetune_portal.notifications import history, services
from finetune_portal.notifications.models import Channel
from finetune_portal.web.errors import ActionError


@receiver(other_ways_in_ended)
def remove_channels(person: User, **_: Any) -> None:
    for channel in Channel.objects.filter(owner=person):
        with suppress(ActionError):  # it was deleted meanwhile
            services.remove(channel, actor=None)


@receiver(post_save, sender=JobEvent)
def add_state(instance: JobEvent, created: bool, raw: bool, **_: Any) -> None:
    if created and not raw:
        history.add_state(instance)


@receiver(costs.decided)
def add_decision(cost: Cost, is_approved: bool, actor: User, **_: Any) -> None:
    history.add_decision(cost, is_approved=is_approved, actor=actor)


@receiver(closing.closed)
def add_closed(connection: Connection, **_: Any) -> None:
    history.add_closed(connection)


@receiver(budgets.warned)
def add_exceeded(budget: Budget, **_: Any) -> None:
    history.add_exceeded(budget)
