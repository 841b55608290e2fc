"""Further parameters as text: on one line, as inputs of a form, and as pages show them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# A value may be several numbers, as 16; 32, or have a decimal comma, as 0,5.
BETWEEN = re.compile(r"\n|(?<!\d),|,(?!\d+\s*(?:[,;\n]|$))|;(?=[^,;\n]*=)")


class ParameterTextError(ValueError):
    pass


def as_text(parameters: Mapping[str, Any]) -> str:
    """The parameters as `rank=32, seed=7`, or as a JSON object where that would not be read back."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()
    }
    line = ", ".join(f"{name}={text}" for name, text in texts.items())
    try:
        is_plain = not line.startswith("{") and parse(line) == texts
    except ParameterTextError:
        is_plain = False
    return line if is_plain else json.dumps(dict(parameters), ensure_ascii=False)


def parse(text: str) -> dict[str, Any]:
    """Read `rank=32, seed=7`, whose values are texts, or a JSON object. Raises ParameterTextError."""
    if text.startswith("{"):
        return _json_object(text)
    pairs = [part.partition("=") for part in BETWEEN.split(text) if part.strip()]
    if not all(name.strip() and sign and each.strip() for name, sign, each in pairs):
        raise ParameterTextError
    return {name.strip(): each.strip(" ;") for name, _, each in pairs}


def label_of(name: str) -> str:
    return name.replace("_", " ").capitalize()


def labelled(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The label of each parameter and its value, as a page shows them."""
    return [(label_of(name), shown_value(value)) for name, value in parameters.items()]


def as_words(parameters: Mapping[str, Any]) -> str:
    """The parameters as `rank 32, hold out no`."""
    return ", ".join(f"{label.lower()} {text}" for label, text in labelled(parameters))


def shown_value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.10g}" if isinstance(value, float) else str(value)


def value_text(value: Any) -> str:
    """One value as a form shows it; text stays as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ParameterTextError
    return value
