"""The training parameters beside steps and learning rate that a trainer of a connection takes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from finetune_portal.connections import trainers
from finetune_portal.connections.models import Connection
from finetune_portal.providers.parameter import Parameter, ParameterError

# Fields of their own in a job; the provider's list repeats the last two among its parameters.
ELSEWHERE = ("learning_rate", "steps", "prompt", "theme")


def taken_by(connection: Connection, trainer: str = "") -> dict[str, Parameter]:
    """The parameters of a trainer by name, in the order of its provider; none of one that is not known."""
    chosen = trainers.find(connection, trainer)
    described = chosen.parameters if chosen else ()
    return {each.name: each for each in described if each.name not in ELSEWHERE}


def read(connection: Connection, values: Mapping[str, Any], trainer: str = "") -> dict[str, Any]:
    """Return the values in their types. Raises ParameterError, which names each parameter at fault."""
    known = taken_by(connection, trainer)
    if unknown := [name for name in values if name not in known]:
        names = ", ".join(f"“{name[:40]}”" for name in unknown[:10])
        takes = ", ".join(("learning_rate", "steps", *known))
        raise ParameterError(f"“{connection}” does not take {names}. It takes {takes}.")
    return {name: known[name].read(value) for name, value in values.items()}


def listed(connection: Connection, advanced: Mapping[str, Any], trainer: str = "") -> dict[str, Any]:
    """Return what the list of a connection says of one job, without what its provider does not take."""
    known = taken_by(connection, trainer)
    values: dict[str, Any] = {}
    for name in advanced.keys() & known.keys():
        with suppress(ParameterError):
            values[name] = known[name].read(advanced[name])
    return values
