"""The training parameters beside steps and learning rate that a connection's provider takes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from finetune_portal.connections.models import Connection
from finetune_portal.providers.contract import ParameterError
from finetune_portal.providers.segmind import parameters

# Fields of their own in a job; the provider's list repeats the last two among its parameters.
ELSEWHERE = ("learning_rate", "steps", "prompt", "theme")


def read(connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values in their types. Raises ParameterError, which names each parameter at fault."""
    known = {each.name: each for each in parameters.described(_names(connection))}
    if unknown := [name for name in values if name not in known]:
        names = ", ".join(f"“{name[:40]}”" for name in unknown[:10])
        takes = ", ".join(("learning_rate", "steps", *known))
        raise ParameterError(f"“{connection}” does not take {names}. It takes {takes}.")
    return {name: known[name].read(value) for name, value in values.items()}


def listed(connection: Connection, advanced: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the list of a connection says of one job, without what its provider does not take."""
    known = {each.name: each for each in parameters.described(_names(connection))}
    values: dict[str, Any] = {}
    for name in advanced.keys() & known.keys():
        with suppress(ParameterError):
            values[name] = known[name].read(advanced[name])
    return values


def _names(connection: Connection) -> list[str]:
    """The names that the provider reports; until it is asked, those of an engine, which checks them."""
    if connection.parameters is not None:
        return list(connection.parameters)
    return [] if connection.is_segmind else list(parameters.KNOWN)
