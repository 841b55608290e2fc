"""What a connection can train: the trainers of its provider, and whether each takes new jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.providers.contract import Availability, Trainer
from finetune_portal.providers.registry import PROVIDERS
from finetune_portal.providers.segmind import parameters
from finetune_portal.providers.segmind.trainer import KONTEXT, TITLES, of_engine

MOST_KEPT, MAX_TEXT = 100, 200  # trainers, and characters of their words: each job is read with the row


def of(connection: Connection) -> list[Trainer]:
    """Those that this version knows, with what their provider last said, then the others that it named."""
    if connection.speaks_segmind:
        described = tuple(parameters.described(_names(connection)))
        kontext = replace(KONTEXT, id="", parameters=described)
        named = list(of_engine(connection.trainers))
        others = [each for each in named if each.id != KONTEXT.id]
        return [kontext, *others] if len(others) < len(named) or not named else others
    by_id = {each["id"]: each for each in connection.trainers}
    known = PROVIDERS[connection.provider].trainers
    unknown = (each for id, each in by_id.items() if id not in {trainer.id for trainer in known})
    return [*(_as_named(trainer, by_id) for trainer in known), *map(_unknown, unknown)]


def find(connection: Connection, trainer: str) -> Trainer | None:
    """The trainer with this id that a job can be sent to.

    Without an id it is the first one, or FLUX.1 Kontext where the provider names that so: not all engines
    have it.
    """
    known = (each for each in of(connection) if each.is_known)
    is_any = not trainer and not connection.speaks_segmind
    return next((each for each in known if is_any or each.id == trainer), None)


def title_of(trainer: str) -> str:
    """The title of a trainer of any provider, or its id if this version does not know it."""
    known = _known(trainer)
    return known.title if known else TITLES.get(trainer, trainer)


def base_model_of(trainer: str) -> str:
    """What a trainer of any provider trains; its id if this version does not know it."""
    known = _known(trainer)
    return known.base_model if known else TITLES.get(trainer, trainer) or KONTEXT.base_model


def store(connection: Connection, trainers: list[Trainer]) -> None:
    """Keep what the provider says of its trainers, in the connection's row: the first MOST_KEPT of them."""
    kept = [each for each in trainers if len(each.id) <= MAX_TEXT][:MOST_KEPT]
    named = [
        {
            "id": each.id,
            "title": each.title[:MAX_TEXT],
            "licence": each.licence[:MAX_TEXT],
            "availability": str(each.availability),
            "is_known": each.is_known,
        }
        for each in kept
    ]
    Connection.objects.filter(pk=connection.pk).update(trainers=named, updated_at=now())


def note_closed(connection: Connection, trainer: str) -> None:
    """Keep that a trainer refused a job as it takes no new ones, until its provider says otherwise."""
    if connection.speaks_segmind:  # which says it of the whole connection (closing.py)
        return
    connection.refresh_from_db(fields=["trainers"])
    closed = [
        replace(each, availability=Availability.CLOSED) if each.id == trainer else each
        for each in of(connection)
    ]
    store(connection, closed)


def _known(trainer: str) -> Trainer | None:
    known = (each for provider in PROVIDERS.values() for each in provider.trainers)
    return next((each for each in known if each.id == trainer), None)


def _as_named(trainer: Trainer, named: Mapping[str, Mapping[str, Any]]) -> Trainer:
    said = named.get(trainer.id)
    if said is None:
        return trainer
    return replace(trainer, availability=Availability(said["availability"]), is_known=said["is_known"])


def _unknown(said: Mapping[str, Any]) -> Trainer:
    availability = Availability(said["availability"])
    return Trainer(said["id"], said["title"], "", said["licence"], (), availability, is_known=False)


def _names(connection: Connection) -> list[str]:
    """The names that the provider reports; until it is asked, those of an engine, which checks them."""
    if connection.parameters is not None:
        return list(connection.parameters)
    return [] if connection.is_segmind else list(parameters.KNOWN)
