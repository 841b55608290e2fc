"""How the check of a ZIP speaks: names that are safe to show, and lists that stay short."""

from __future__ import annotations

from collections.abc import Sequence

AGAIN = "Pack the pictures again and drop the new file."
LONGEST = 80


class Refused(ValueError):
    """Why a ZIP cannot be taken, in a sentence for its owner."""


def shown(name: str) -> str:
    """`name` in quotes, without anything invisible, and never longer than a line."""
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
    return f"“{clean if len(clean) <= LONGEST else clean[: LONGEST - 1] + '…'}”"


def some(names: Sequence[str]) -> str:
    """Up to three names, and how many more."""
    few = [shown(name) for name in names[:3]]
    if len(names) > 3:
        return f"{', '.join(few)} and {len(names) - 3:,} more"
    return " and ".join(filter(None, [", ".join(few[:-1]), few[-1]]))
