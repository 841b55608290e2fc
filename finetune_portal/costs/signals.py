"""A budget for each new connection that costs money."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from finetune_portal.connections.models import Connection
from finetune_portal.costs.amounts import exact
from finetune_portal.costs.models import DEFAULT_AMOUNT, Budget, currency_of


@receiver(post_save, sender=Connection)
def add_budget(instance: Connection, created: bool, raw: bool, **_: Any) -> None:
    if created and not raw and not instance.is_free:
        Budget.objects.create(
            connection=instance, currency=currency_of(instance), amount=exact(DEFAULT_AMOUNT)
        )
