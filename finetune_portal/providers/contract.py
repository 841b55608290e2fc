"""The types that all providers share: whether one takes new jobs, and which parameters it knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import cast

MAX_TEXT = 200  # of a parameter of unknown type


class Availability(StrEnum):
    """Whether a provider takes new jobs."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Report:
    """What a third party says of a provider, on which day. The portal cannot verify it."""

    availability: Availability
    said_on: date
    text: str
    source: str


class ParameterError(ValueError):
    """Says in a sentence that begins with the parameter's name what is wrong with its value."""


@dataclass(frozen=True)
class Parameter:
    """A training parameter beside steps and learning rate. `choices` are in lower case.

    `type` is whole, number, flag, choice or any; `least` and `most` belong to the first two, both inclusive.
    The values of type any are numbers, truth values and short texts.
    """

    name: str
    type: str
    help: str
    least: float = 0
    most: float = 0
    choices: tuple[str, ...] = ()

    def read(self, value: object) -> int | float | str | bool:
        """Return the value in its type; text is read as a form sends it. Raises ParameterError."""
        if self.type == "flag":
            return self._choice(value, ("true", "false")) == "true"
        if self.type == "choice":
            return self._choice(value, self.choices)
        if self.type == "any":
            return self._any(value)
        number = self._number(value)
        if self.type != "whole":
            return number
        if number != int(number):
            raise ParameterError(f"{self.name} must be a whole number.")
        return int(number)

    def _choice(self, value: object, choices: tuple[str, ...]) -> str:
        word = str(value).lower()
        if word not in choices:
            raise ParameterError(f"{self.name} must be one of: {', '.join(choices)}.")
        return word

    def _any(self, value: object) -> int | float | str | bool:
        is_short = isinstance(value, bool | int) or (isinstance(value, str) and len(value) <= MAX_TEXT)
        if is_short or (isinstance(value, float) and math.isfinite(value)):
            return cast("int | float | str | bool", value)
        raise ParameterError(f"{self.name} must be a number, a short text, true or false.")

    def _number(self, value: object) -> float:
        try:
            number = float(value) if isinstance(value, str | int | float) else float("nan")
        except (ValueError, OverflowError):
            number = float("nan")
        if isinstance(value, bool) or not self.least <= number <= self.most:
            raise ParameterError(f"{self.name} must be a number from {self.least:g} to {self.most:g}.")
        return number
