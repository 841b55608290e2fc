"""Read numbers as people of any country type them, and never guess where a paid job depends on it. Pure.

A decimal comma is read. A whole number with a separator, such as 2,500, could be one number or two, so it is
refused with its readings. Several values are separated by a semicolon, or by a comma and a space.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

BETWEEN_VALUES = re.compile(r"[;\n]|,(?=\s)")
DECIMAL = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:([.,'_ ])\d{3})(?:\1\d{3})*", re.ASCII)
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

    def __init__(self, readings: Iterable[list[float]] = ()) -> None:
        super().__init__("no number")
        self.readings = list(readings)


def parse_numbers(text: str, kind: type[float]) -> list[float]:
    """Read one or several numbers, each once. `kind` is float or int. Raises NumberError."""
    words = [word for part in BETWEEN_VALUES.split(_plain(text)) if (word := part.strip())]
    pattern = DECIMAL if kind is float else WHOLE
    if not words or not all(pattern.fullmatch(word) for word in words):
        raise NumberError(_readings(words, kind))
    return list(dict.fromkeys(_number(word, kind) for word in words))


def _plain(text: str) -> str:
    """Return the text with ASCII digits, spaces, separators and signs."""
    chars = (_plain_character(character) for character in text)
    return re.sub(r"[^\S\n]+", " ", "".join(chars)).lstrip(" ;\n").rstrip(" ,;\n")


def _plain_character(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    return ALIKE.get(character, character) if digit is None else str(digit)


def _number(word: str, kind: type[float]) -> float:
    return kind(word.replace(",", "."))


def _readings(words: list[str], kind: type[float]) -> Iterator[list[float]]:
    """Yield what was probably meant: numbers with separators between thousands, then several values."""
    if kind is int and words and all(WHOLE.fullmatch(word) or GROUPED.fullmatch(word) for word in words):
        yield [int(re.sub(r"[.,'_ ]", "", word)) for word in words]
    pattern = DECIMAL if kind is float else WHOLE
    for separator in (r"\s+", r"[\s,]+"):
        values = [value for word in words for value in re.split(separator, word) if value]
        if len(values) > len(words) and all(pattern.fullmatch(value) for value in values):
            yield [_number(value, kind) for value in values]
            return
