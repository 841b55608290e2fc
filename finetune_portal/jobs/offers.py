"""What can be trained where: a card of the form for each trainer of each connection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from finetune_portal.accounts.models import User
from finetune_portal.connections import trainers
from finetune_portal.connections.models import Connection
from finetune_portal.jobs import access
from finetune_portal.providers.contract import Availability, Trainer

MOST_SHOWN = 6  # cards; of more only the most used stand outside the fold
MOST_FIRST = 3
JOBS_COUNTED = 200  # the newest, for what is used most


@dataclass(frozen=True)
class Offer:
    """A trainer of a connection."""

    connection: Connection
    trainer: Trainer
    is_chosen: bool

    @property
    def value(self) -> str:
        """What the form sends: see `split`."""
        return f"{self.connection.pk} {self.trainer.id}".strip()

    @property
    def title(self) -> str:
        """The trainer; an engine does not say what it trains before a job."""
        return str(self.connection) if self.connection.is_engine else self.trainer.title

    @property
    def refusal(self) -> str:
        """Why it cannot be chosen; empty where it can."""
        if not self.trainer.is_known:
            return "Not known to this version"
        return "Takes no new jobs" if self.trainer.availability is Availability.CLOSED else ""


def split(value: Any) -> dict[str, str]:
    """The connection and the trainer that the value of an offer names."""
    connection, _, trainer = str(value).partition(" ")
    return {"connection": connection, "trainer": trainer}


def all_of(connections: Iterable[Connection], taker: Connection, chosen: Trainer) -> list[Offer]:
    """Those of all connections, in their order."""
    return [
        Offer(each, trainer, each.pk == taker.pk and trainer.id == chosen.id)
        for each in connections
        for trainer in trainers.of(each)
    ]


def most_used(offers: list[Offer], user: User) -> list[Offer]:
    """The few that stand outside the fold: the chosen one, and what the newest jobs use most. One query."""
    if len(offers) <= MOST_SHOWN:
        return offers
    newest = access.visible(user).order_by("-pk").values_list("connection", "trainer")[:JOBS_COUNTED]
    counts = Counter(newest)
    first = sorted(
        (each for each in offers if each.is_chosen or not each.refusal),
        key=lambda each: (each.is_chosen, counts[each.connection.pk, each.trainer.id]),
        reverse=True,
    )[:MOST_FIRST]
    return [each for each in offers if each in first]
