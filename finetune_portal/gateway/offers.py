"""What a submit can ask for: a trainer of a connection, by the words of the vendor or by its own name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from finetune_portal.connections import services as connections
from finetune_portal.connections import trainers
from finetune_portal.connections.models import Connection
from finetune_portal.gateway.api_call import ApiError, Fields, text
from finetune_portal.jobs import choices
from finetune_portal.providers.contract import Availability, Trainer
from finetune_portal.providers.parameter import Parameter
from finetune_portal.providers.segmind import trainer as segmind

VENDORS_WORD = "FLUX"  # the base_model of the vendor's page, of which KONTEXT is the theme
ENGINE = "engine"
MOST_SHOWN = 100  # characters of what a caller sent
NUMBERS = (
    Parameter("steps", "whole", "Steps of the training.", choices.MIN_STEPS, choices.MAX_STEPS),
    Parameter(
        "learning_rate", "number", "How far each step changes the model.", choices.MIN_RATE, choices.MAX_RATE
    ),
)


@dataclass(frozen=True)
class Offer:
    """A trainer of a connection in use. `is_default`: what a submit in the vendor's words means."""

    connection: Connection
    trainer: Trainer
    is_default: bool = False

    @property
    def id(self) -> str:
        return self.trainer.id or segmind.KONTEXT.id

    @property
    def provider(self) -> str:
        return provider_of(self.connection)

    @property
    def availability(self) -> Availability:
        return self.trainer.availability if self.connection.takes_jobs else Availability.CLOSED

    @property
    def parameters(self) -> list[Parameter]:
        """All that a job is sent with, steps and learning rate in the bounds that the portal has, too."""
        by_name = {each.name: each for each in self.trainer.parameters}
        numbers = [_within(by_name.pop(each.name, each), each) for each in NUMBERS]
        return [*numbers, *by_name.values()]


def provider_of(connection: Connection) -> str:
    return ENGINE if connection.is_engine else connection.provider


def offers() -> list[Offer]:
    """Those of the default connection first."""
    default = connections.default()
    usable = sorted(Connection.objects.in_use(), key=lambda each: each != default)
    offered = [Offer(each, trainer) for each in usable for trainer in trainers.of(each) if trainer.is_known]
    meant = next((each for each in offered if _is_vendors(each) and each.connection == default), None)
    return [replace(each, is_default=True) if each is meant else each for each in offered]


def is_in_vendors_words(fields: Fields) -> bool:
    """Whether a submit names nothing but what the vendor's page has."""
    base_model = fields.get("base_model")
    is_other = isinstance(base_model, str) and base_model.upper() not in ("", VENDORS_WORD)
    return not (fields.get("provider") or fields.get("trainer") or is_other)


def chosen(fields: Fields) -> Offer:
    """The one that a submit asks for. Raises ApiError with what there is."""
    offered = offers()
    if is_in_vendors_words(fields):
        meant = [each for each in offered if each.is_default]
        if not meant:
            raise ApiError(422, f"base_model: the default connection has no Kontext. {_there_are(offered)}")
        return meant[0]
    for name in ("provider", "trainer", "base_model"):
        if fields.get(name):
            offered = _named(offered, name, text(fields, name))
    return _only(offered)


def _named(offered: list[Offer], field: str, word: str) -> list[Offer]:
    matching = [each for each in offered if word.casefold() in _names(each, field)]
    if field == "provider":  # a connection's name before an id, which others may share
        by_name = [each for each in matching if each.connection.name.casefold() == word.casefold()]
        matching = by_name or matching
    if field == "base_model" and word.upper() == VENDORS_WORD:  # by habit beside a trainer
        matching = [each for each in offered if _is_vendors(each)] or offered
    if not matching:
        there_are = _connections(offered) if field == "provider" else _there_are(offered)
        raise ApiError(422, f"{field}: there is no “{word[:MOST_SHOWN]}”. {there_are}")
    return matching


def _names(offer: Offer, field: str) -> set[str]:
    if field == "provider":
        names = {offer.connection.name, offer.provider}
    else:
        names = {offer.id, offer.trainer.title}
        if field == "base_model":
            names.add(offer.trainer.base_model)
    return {name.casefold() for name in names}


def _only(offered: list[Offer]) -> Offer:
    """The one that is left; of several connections the default."""
    if len({each.id for each in offered}) > 1:
        raise ApiError(422, f"trainer: name one. {_there_are(offered)}")
    default = connections.default()
    left = [each for each in offered if each.connection == default] or offered
    if len(left) > 1:
        raise ApiError(422, f"provider: name one. {_connections(left)}")
    return left[0]


def _there_are(offered: Iterable[Offer]) -> str:
    return f"There are: {', '.join(dict.fromkeys(each.id for each in offered))}."


def _connections(offered: Iterable[Offer]) -> str:
    names = dict.fromkeys(f"“{each.connection}” ({each.provider})" for each in offered)
    return f"There are: {', '.join(names)}."


def _is_vendors(offer: Offer) -> bool:
    return offer.trainer.base_model == segmind.KONTEXT.base_model


def _within(parameter: Parameter, bounds: Parameter) -> Parameter:
    """With what the portal takes; that is all where the trainer sets the number itself."""
    if parameter.is_fixed:
        return replace(bounds, help=parameter.help)
    least, most = max(parameter.least, bounds.least), min(parameter.most, bounds.most)
    return replace(parameter, least=least, most=most)
