"""What every page says on top: the mood of the upstreams, and that an engine only simulates."""

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


def banners(request: HttpRequest) -> dict[str, Any]:
    """Context processor. Empty for strangers: they learn nothing of the account."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {}
    return {"banners": current(), "local_engine": settings.LOCAL_ENGINE}


def current() -> list[Banner]:
    """With several connections each sentence begins with the name of its own."""
    connections = list(Connection.objects.in_use()) or [Connection(kind=built_in_kind())]
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
