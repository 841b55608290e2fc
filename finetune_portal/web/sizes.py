"""Say how many bytes something has."""

from __future__ import annotations


def size(value: int | None) -> str:
    """Format bytes: 14.7 MB."""
    if value is None:
        return "–"
    amount = float(value)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.3g} {unit}"
        amount /= 1000
    return ""
