"""What every page says on top: the mood of the upstreams, the account's credits, and simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from finetune_portal.connections.models import Connection, built_in_kind


@dataclass(frozen=True)
class Banner:
    kind: str
    text: str


@dataclass(frozen=True)
class Purse:
    """What the account holds that a training goes to when nobody chooses another."""

    credits: float
    of: str

    @property
    def text(self) -> str:
        return (
            f"{self.credits:,.0f}" if abs(self.credits) >= 100 else f"{self.credits:.1f}".removesuffix(".0")
        )

    @property
    def is_low(self) -> bool:
        return self.credits < settings.LOW_CREDITS


def banners(request: HttpRequest) -> dict[str, Any]:
    """Context processor. Strangers learn nothing of the account."""
    plain = {"plain_http": settings.PLAIN_HTTP and not settings.SECURE}
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return plain
    connections = _in_use()
    purse = _purse(connections) if request.user.can_train else None
    told = {"banners": _told(connections), "purse": purse, "local_engine": settings.LOCAL_ENGINE}
    return {**plain, **told}


def current() -> list[Banner]:
    return _told(_in_use())


def _in_use() -> list[Connection]:
    return list(Connection.objects.in_use()) or [Connection(kind=built_in_kind())]


def _purse(connections: list[Connection]) -> Purse | None:
    """None until the account has told, which not every one does."""
    chosen = min(connections, key=lambda each: (not each.is_default, each.is_own))
    return None if chosen.credits is None else Purse(chosen.credits, chosen.name)


def _told(connections: list[Connection]) -> list[Banner]:
    """With several connections each sentence begins with the name of its own."""
    found = [(connection, banner) for connection in connections if (banner := _of(connection))]
    if len(connections) == 1:
        return [banner for _, banner in found]
    return [Banner(banner.kind, f"{connection.name}: {banner.text}") for connection, banner in found]


def _of(connection: Connection) -> Banner | None:
    if not connection.has_key:
        text = "No API key is set, so nothing can be trained. An admin sets it on the settings page."
        return Banner("error", text)
    if connection.key_refused:
        return Banner("error", connection.failure)
    if connection.failing_since:
        since = f"{connection.failing_since:%H:%M} UTC"
        text = f"The states shown are those of {since}; jobs wait and go on by themselves."
        return Banner("warning", f"{connection.failure} {text}")
    if connection.is_closed:
        text = "The upstream takes no new trainings at the moment. Finished models still work."
        return Banner("warning", text)
    return None
