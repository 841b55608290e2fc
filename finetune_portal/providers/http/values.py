"""Read the values of a JSON answer tolerantly: text for numbers, and nothing that a database cannot hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from finetune_portal.providers.errors import InvalidResponseError
from finetune_portal.providers.http.json_body import invalid, parse

MAX_TEXT = 4096
MAX_RAW = 64 * 1024  # bytes of JSON kept of one job
ROOM_FOR_NAMES = 6000  # ten of 60 characters, each at most 6 bytes a character
FIRST_YEAR, LAST_YEAR = 1970, 9000
CURRENCY = re.compile(r"[A-Z]{3}")
LEFT_OUT = "left_out"  # in what is kept of a job: the names of fields that are too large


def text(value: Any) -> str:
    """Text without control characters, cut at 4 kB; numbers become text, everything else is empty."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    cut = str(value)[:MAX_TEXT]
    if cut.isprintable():  # nearly all, and a list may have 150,000 of them
        return cut.strip()
    return "".join(c for c in cut if c.isprintable() or c == "\n").strip()


def truth(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    return parsed if abs(parsed) < 1e15 else None


def whole(value: Any) -> int | None:
    """A count; None for what is none or does not fit into a database column."""
    parsed = number(value)
    return int(parsed) if parsed is not None and 0 <= parsed < 2**31 else None


def currency(value: Any) -> str:
    """A code of ISO 4217, dollars where there is none. Raises InvalidResponseError for everything else."""
    code = text(value) or "USD"
    if not CURRENCY.fullmatch(code):
        raise InvalidResponseError(invalid("an amount without a currency"))
    return code


def time_of(words: str) -> datetime | None:
    """A time in ISO 8601, in UTC where it names no zone; None for everything else.

    Also None at the ends of what Python and databases hold, where a sum of times fails.
    """
    try:
        at = datetime.fromisoformat(words)
    except ValueError:
        return None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def mapping(value: Any) -> dict[str, Any]:
    """An object, or the JSON text of one; empty for everything else."""
    if isinstance(value, str):
        try:
            value = parse(value.encode("utf-8", "replace"))
        except InvalidResponseError:
            return {}
    return dict(value) if isinstance(value, dict) else {}


def capped(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload in at most MAX_RAW bytes of JSON. The largest fields are left out, and named."""
    if len(json.dumps(payload)) <= MAX_RAW:
        return dict(payload)
    sizes = {name: len(json.dumps({name: value})) for name, value in payload.items()}
    kept, left_out, total = dict(payload), [], sum(sizes.values())
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if total <= MAX_RAW - ROOM_FOR_NAMES:
            break
        total -= sizes[name]
        del kept[name]
        left_out.append(name[:60])
    return {**kept, LEFT_OUT: left_out[:10]}
