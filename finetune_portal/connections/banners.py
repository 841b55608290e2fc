"""What every page says on top: the mood of the upstreams, the account's credits, and simulation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.timezone import now

from finetune_portal.connections.models import Connection, built_in_kind

OVERDUE = timedelta(seconds=90)  # a worker looks within a minute, also after a kill


@dataclass(frozen=True)
class Banner:
    """`since`: when it began. `as_of`: how old the states are that the pages show, if that matters."""

    kind: str
    text: str
    since: datetime | None = None
    as_of: datetime | None = None


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
    if stopped := [
        each.due_at for each in connections if each.pk and each.due_at < now() - OVERDUE and each.is_free
    ]:
        text = "The worker is not running, so nothing is sent and no state is looked up. Tell an admin."
        return [Banner("error", text, since=min(stopped), as_of=_oldest(connections))]
    found = [(connection, banner) for connection in connections if (banner := _of(connection))]
    if len(connections) == 1:
        return [banner for _, banner in found]
    return [replace(banner, text=f"{connection.name}: {banner.text}") for connection, banner in found]


def _oldest(connections: list[Connection]) -> datetime | None:
    answered = [connection.last_answer_at for connection in connections]
    return min((each for each in answered if each), default=None) if all(answered) else None


def _of(connection: Connection) -> Banner | None:
    if not connection.has_key:
        text = "No API key is set, so nothing can be trained. An admin sets it on the settings page."
        return Banner("error", text)
    if connection.is_key_rejected:
        return Banner("error", connection.failure, connection.failing_since, connection.last_answer_at)
    if connection.failing_since:
        text = f"{connection.failure} Jobs wait and go on by themselves."
        return Banner("warning", text, connection.failing_since, connection.last_answer_at)
    if connection.is_training_closed:
        text = "The upstream takes no new trainings at the moment. Finished models still work."
        return Banner("warning", text)
    return None
