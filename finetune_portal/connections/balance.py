"""The credits of the account, which the top bar shows."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from finetune_portal.connections.models import Connection
from finetune_portal.web.templatetags.portal import credits_text


@dataclass(frozen=True)
class Balance:
    """The credits of the account that a job goes to when nobody chooses another."""

    credits: float
    connection_name: str

    @property
    def text(self) -> str:
        return credits_text(self.credits)

    @property
    def is_low(self) -> bool:
        return self.credits < settings.LOW_CREDITS


def balance_of(connections: list[Connection]) -> Balance | None:
    """Return the balance of the default connection; None if it is free or its provider has named none."""
    default = min(connections, key=lambda each: (not each.is_default, each.is_own, each.pk or 0))
    return None if default.is_free or default.credits is None else Balance(default.credits, default.name)
