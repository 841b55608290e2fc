"""What every page says on top: the mood of the upstream, and that an engine only simulates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from finetune_portal.jobs.models import Connection


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
    found = []
    if not settings.SEGMIND_API_KEY:
        text = "No API key is set, so nothing can be trained. An admin sets SEGMIND_API_KEY."
        found.append(Banner("error", text))
    connection = Connection.objects.first()
    if connection is None:
        return found
    if connection.key_refused:
        found.append(Banner("error", connection.failure))
    elif connection.failing_since:
        since = f"{connection.failing_since:%H:%M} UTC"
        text = (
            f"{connection.failure} The states shown are those of {since}; jobs wait and go on by themselves."
        )
        found.append(Banner("warning", text))
    elif connection.is_closed:
        text = "The upstream takes no new trainings at the moment. Finished models still work."
        found.append(Banner("warning", text))
    return found
