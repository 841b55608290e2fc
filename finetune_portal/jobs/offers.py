"""What can be trained where: a card of the form for each trainer of each connection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.utils.text import slugify

from finetune_portal.accounts.models import User
from finetune_portal.connections import trainers
from finetune_portal.connections.models import Connection
from finetune_portal.jobs import access
from finetune_portal.jobs.expected import Expected
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
    is_only: bool  # of its connection
    expected: Expected = field(default_factory=Expected)  # what a job of what is typed takes there

    @property
    def value(self) -> str:
        """What the form sends: see `split`."""
        return f"{self.connection.pk} {self.trainer.id}".strip()

    @property
    def html_id(self) -> str:
        return f"offer-{slugify(self.value.replace('/', ' '))}"

    @property
    def is_named_by_trainer(self) -> bool:
        """Whether the card is called after its trainer: not where an engine has a single model."""
        return not (self.connection.is_engine and self.is_only)

    @property
    def title(self) -> str:
        return self.trainer.title if self.is_named_by_trainer else str(self.connection)

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
    known = ((each, trainers.of(each)) for each in connections)
    return [
        Offer(each, trainer, each.pk == taker.pk and trainer.id == chosen.id, is_only=len(its) == 1)
        for each, its in known
        for trainer in its
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
