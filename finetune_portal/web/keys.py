"""Primary keys that come as text, in a query string or a form."""

from __future__ import annotations

LARGEST_KEY = 2**63 - 1


def parse_key(text: str) -> int | None:
    """Return the key, or None for what is not one: SQLite raises OverflowError on a larger number."""
    if not (text.isascii() and text.isdecimal()):
        return None
    stripped = text.lstrip("0") or "0"
    return key if len(stripped) <= 19 and (key := int(stripped)) <= LARGEST_KEY else None
