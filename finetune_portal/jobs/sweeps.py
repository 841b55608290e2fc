"""Sweeps: the combinations of the values of one form, each a job of its own. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from finetune_portal.jobs.parameter_text import as_words

ParameterSet = dict[str, Any]  # the fields of a job; `parameters` has the further ones


def combinations(
    rates: Sequence[float], steps: Sequence[int], further: Mapping[str, Sequence[Any]]
) -> list[ParameterSet]:
    """Every learning rate with every number of steps and every value of each further parameter."""
    return [
        {"learning_rate": rate, "steps": count, "parameters": dict(zip(further, values, strict=True))}
        for rate, count, *values in product(rates, steps, *further.values())
    ]


def by_key(form_key: uuid.UUID, parameter_sets: Sequence[ParameterSet]) -> dict[uuid.UUID, ParameterSet]:
    """The fields of each job by its key; several jobs are a sweep, and know what varies in it."""
    if len(parameter_sets) == 1:
        return {form_key: parameter_sets[0]}
    shared = {"sweep": form_key, "sweep_axes": axes(parameter_sets)}
    all_keys = keys(form_key, parameter_sets)
    return {key: {**each, **shared} for key, each in zip(all_keys, parameter_sets, strict=True)}


def keys(form_key: uuid.UUID, parameter_sets: Sequence[ParameterSet]) -> list[uuid.UUID]:
    """The key of each job: the same form makes the same ones, whichever release reads it.

    Learning rate and steps are always in it, a further parameter where it has several values.
    """
    names = sorted(_varying(parameter_sets))
    texts = (
        " ".join(
            (
                f"{each['learning_rate']!r} {each['steps']}",
                *(f"{name}={each['parameters'][name]!r}" for name in names),
            )
        )
        for each in parameter_sets
    )
    return [uuid.uuid5(form_key, text) for text in texts]


def described(parameter_sets: Sequence[ParameterSet]) -> list[dict[str, Any]]:
    """What tells the jobs apart; `further` is text such as `rank 32`, empty where none varies."""
    names = _varying(parameter_sets)
    return [
        {
            "learning_rate": each["learning_rate"],
            "steps": each["steps"],
            "further": as_words({name: each["parameters"][name] for name in names}),
        }
        for each in parameter_sets
    ]


def axes(parameter_sets: Sequence[ParameterSet]) -> list[str]:
    """The names of all that has several values: learning rate and steps first, then further parameters."""
    own = [name for name in ("learning_rate", "steps") if len({each[name] for each in parameter_sets}) > 1]
    return [*own, *_varying(parameter_sets)]


def _varying(parameter_sets: Sequence[ParameterSet]) -> list[str]:
    """The further parameters with several values. All sets have the same names."""
    names = parameter_sets[0].get("parameters", {})
    return [name for name in names if len({repr(each["parameters"][name]) for each in parameter_sets}) > 1]
