"""A parameter of a training: its type, bounds and default, and how a value of it is read. No Django."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

MAX_TEXT = 200  # of a parameter of unknown type


class ParameterError(ValueError):
    """Says in a sentence that begins with the parameter's name what is wrong with its value."""


@dataclass(frozen=True)
class Parameter:
    """A training parameter. `choices` are in lower case.

    `type` is whole, number, flag, choice, text or any; `least` and `most` belong to the first two, both
    inclusive, and a `step` above 0 says of what a value is a multiple. A text has at most `most` characters.
    The values of type any are numbers, truth values and short texts. Without a `default` the provider has one
    that nobody published.
    """

    name: str
    type: str
    help: str
    least: float = 0
    most: float = 0
    choices: tuple[str, ...] = ()
    default: int | float | str | bool | None = None
    step: float = 0

    @property
    def is_fixed(self) -> bool:
        """Whether a number has one value alone: the trainer sets it itself."""
        return self.type in ("whole", "number") and self.least == self.most

    def read(self, value: object) -> int | float | str | bool:
        """Return the value in its type; text is read as a form sends it. Raises ParameterError."""
        if self.type == "flag":
            return self._choice(value, ("true", "false")) == "true"
        if self.type == "choice":
            return self._choice(value, self.choices)
        if self.type == "any":
            return self._any(value)
        if self.type == "text":
            return self._text(value)
        number = self._number(value)
        if self.step and number % self.step:
            raise ParameterError(f"{self.name} must be a multiple of {self.step:g}.")
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

    def _text(self, value: object) -> str:
        if not isinstance(value, str) or len(value) > self.most:
            raise ParameterError(f"{self.name} must be a text of at most {self.most:,.0f} characters.")
        return value

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
            raise ParameterError(
                f"{self.name} must be a number from {self.least:,.10g} to {self.most:,.10g}."
            )
        return number
