"""The credits of the account, which the top bar shows."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from finetune_portal.connections.models import Connection


@dataclass(frozen=True)
class Balance:
    """The credits of the account that a job goes to when nobody chooses another."""

    credits: float
    connection_name: str

    @property
    def text(self) -> str:
        return (
            f"{self.credits:,.0f}" if abs(self.credits) >= 100 else f"{self.credits:.1f}".removesuffix(".0")
        )

    @property
    def is_low(self) -> bool:
        return self.credits < settings.LOW_CREDITS


def balance_of(connections: list[Connection]) -> Balance | None:
    """Return the balance of the default connection; None until its provider has named one."""
    default = min(connections, key=lambda each: (not each.is_default, each.is_own))
    return None if default.credits is None else Balance(default.credits, default.name)
