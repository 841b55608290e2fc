"""The banners on top of every page, which say how the providers are, and the context of the top bar."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.timezone import now

from finetune_portal.connections import closing
from finetune_portal.connections.balance import balance_of
from finetune_portal.connections.models import Connection, built_in_kind

OVERDUE = timedelta(seconds=90)  # a worker asks within a minute, even after a kill


@dataclass(frozen=True)
class Banner:
    """`since`: when the problem began. `as_of`: the age of the states on the pages, where that matters.

    `next_try_at`: when the portal sends the next job to a closed provider.
    """

    kind: str
    text: str
    since: datetime | None = None
    as_of: datetime | None = None
    next_try_at: datetime | None = None


def banners(request: HttpRequest) -> dict[str, Any]:
    """Context processor. Strangers see nothing of the account."""
    context = {"plain_http": settings.PLAIN_HTTP and not settings.SECURE}
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return context
    connections = _in_use()
    balance = balance_of(connections) if request.user.can_train else None
    return {
        **context,
        "banners": _banners(connections),
        "balance": balance,
        "local_engine": settings.LOCAL_ENGINE,
    }


def current() -> list[Banner]:
    return _banners(_in_use())


def _in_use() -> list[Connection]:
    return list(Connection.objects.in_use()) or [Connection(kind=built_in_kind())]


def _banners(connections: list[Connection]) -> list[Banner]:
    """With several connections, each text begins with the name of its connection."""
    overdue = [
        each.due_at for each in connections if each.pk and each.due_at < now() - OVERDUE and each.is_unleased
    ]
    if overdue:
        text = "The worker is not running, so nothing is sent and no state is updated. Tell an admin."
        return [Banner("error", text, since=min(overdue), as_of=_oldest_answer(connections))]
    pairs = [(connection, banner) for connection in connections if (banner := _banner_for(connection))]
    if len(connections) == 1:
        return [banner for _, banner in pairs]
    return [replace(banner, text=f"{connection.name}: {banner.text}") for connection, banner in pairs]


def _oldest_answer(connections: list[Connection]) -> datetime | None:
    answers = [connection.last_answer_at for connection in connections]
    return min((each for each in answers if each), default=None) if all(answers) else None


def _banner_for(connection: Connection) -> Banner | None:
    if not connection.has_key:
        text = "No API key is set, so nothing can be trained. An admin sets it on the settings page."
        return Banner("error", text)
    if connection.is_key_rejected:
        return Banner("error", connection.failure, connection.failing_since, connection.last_answer_at)
    if connection.failing_since:
        text = f"{connection.failure} Jobs wait and continue by themselves."
        return Banner("warning", text, connection.failing_since, connection.last_answer_at)
    if connection.is_training_closed:
        text = f"{connection.closed_reason or closing.NO_REASON} Jobs wait; finished models still work."
        next_try_at = connection.next_probe_at
        return Banner("warning", text, connection.closed_at, next_try_at=next_try_at)
    return None
