"""Wording of the checker's messages: names that are safe to show, and lists that stay short."""

from __future__ import annotations

from collections.abc import Sequence

REPACK = "Pack the pictures again and drop the new file."
MAX_SHOWN = 80


class ZipRejectedError(ValueError):
    """The ZIP cannot be used. The text is a sentence for its owner."""


def quoted(name: str) -> str:
    """`name` in quotes, without invisible characters, shortened to a line."""
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
    return f"“{clean if len(clean) <= MAX_SHOWN else clean[: MAX_SHOWN - 1] + '…'}”"


def name_list(names: Sequence[str]) -> str:
    """The first three names and the number of further ones."""
    few = [quoted(name) for name in names[:3]]
    if len(names) > 3:
        return f"{', '.join(few)} and {len(names) - 3:,} more"
    return " and ".join(filter(None, [", ".join(few[:-1]), few[-1]]))
