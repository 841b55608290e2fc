"""Read numbers as people of any country type them, and never guess where money depends on it. Pure.

A decimal comma is read. A whole number with a separator, such as 2,500, could be one number or two, so it is
refused with its readings; as a decimal it could be 2.5, so whoever reads one asks `without_thousands`, too.
Several values are separated by a semicolon, or by a comma and a space.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

Kind = type[float | Decimal]  # int, float or Decimal

BETWEEN_VALUES = re.compile(r"[;\n]|,(?=\s)")
DECIMAL = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:([.,'_ ])\d{3})(?:\1\d{3})*(?:(?!\1)[.,]\d+)?", re.ASCII)
ALIKE = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\uff0d", "-"),
    **dict.fromkeys("\u2018\u2019\u02bc\u00b4`\u066c\uff07", "'"),
    **dict.fromkeys("\u066b\uff0c", ","),
    **dict.fromkeys("\u061b\uff1b", ";"),
    **dict.fromkeys("\u060c\u3001", ", "),
    "\uff0e": ".",
}


class NumberError(ValueError):
    """A text that is no number. `readings` are the numbers it could mean, the likeliest first."""

    def __init__(self, readings: Iterable[list[Any]] = ()) -> None:
        super().__init__("no number")
        self.readings = list(readings)


def parse_numbers(text: str, kind: Kind) -> list[Any]:
    """Read one or several numbers, each once. Raises NumberError."""
    words = _words(text)
    pattern = _pattern(kind)
    if not words or not all(pattern.fullmatch(word) for word in words):
        raise NumberError(_readings(words, kind))
    return list(dict.fromkeys(_number(word, kind) for word in words))


def without_thousands(text: str, kind: Kind) -> list[Any] | None:
    """Read 1.500 as 1500, and the other numbers as they are; None where no separator can be of thousands."""
    words = _words(text)
    if not any(GROUPED.fullmatch(word) for word in words):
        return None
    return _ungrouped(words, kind)


def number_text(number: float | Decimal) -> str:
    """Format a number so that it is read back: 1.125, which could be thousands, is 1.1250."""
    text = f"{float(number):.12g}"
    return f"{text}0" if GROUPED.fullmatch(text) else text


def _words(text: str) -> list[str]:
    return [word for part in BETWEEN_VALUES.split(_plain(text)) if (word := part.strip())]


def _pattern(kind: Kind) -> re.Pattern[str]:
    return WHOLE if kind is int else DECIMAL


def _plain(text: str) -> str:
    """Return the text with ASCII digits, spaces, separators and signs."""
    chars = (_plain_character(character) for character in text)
    return re.sub(r"[^\S\n]+", " ", "".join(chars)).lstrip(" ;\n").rstrip(" ,;\n")


def _plain_character(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    return ALIKE.get(character, character) if digit is None else str(digit)


def _number(word: str, kind: Kind) -> Any:
    try:
        return kind(word.replace(",", "."))
    except (ValueError, ArithmeticError):  # thousands of digits, or an exponent of as many
        raise NumberError from None


def _ungrouped(words: list[str], kind: Kind) -> list[Any] | None:
    """The numbers without the separators between their thousands; None if another thing is among them."""
    plain = []
    for word in words:
        match = GROUPED.fullmatch(word)
        plain.append(word.replace(match[1], "") if match else word)
    pattern = _pattern(kind)
    return [_number(word, kind) for word in plain] if all(map(pattern.fullmatch, plain)) else None


def _readings(words: list[str], kind: Kind) -> Iterator[list[Any]]:
    """Yield what was probably meant: numbers with separators between thousands, then several values."""
    if words and (grouped := _ungrouped(words, kind)):
        yield grouped
    pattern = _pattern(kind)
    for separator in (r"\s+", r"[\s,]+"):
        values = [value for word in words for value in re.split(separator, word) if value]
        if len(values) > len(words) and all(pattern.fullmatch(value) for value in values):
            yield [_number(value, kind) for value in values]
            return
