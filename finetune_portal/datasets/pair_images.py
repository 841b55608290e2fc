"""The images of a pair of a verdict by their places: `start`, `end`, and `start2` and so on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count, takewhile
from typing import Any


def places_of(pair: Mapping[str, Any]) -> list[str]:
    """The images that a pair has: `start`, `end`, and `start2` and so on for further input images."""
    return ["start", "end", *further_places_of(pair)]


def further_places_of(pair: Mapping[str, Any]) -> list[str]:
    """Those of the input images beside the first."""
    return list(takewhile(pair.__contains__, (f"start{number}" for number in count(2))))


def most_inputs(pairs: Iterable[Mapping[str, Any]]) -> int:
    """The most input images that one of the pairs has; 1 where there are none."""
    return max((1 + len(further_places_of(pair)) for pair in pairs), default=1)
