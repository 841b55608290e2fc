"""Keep the engine's log short, whatever strangers send."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable


class RepeatFilter(logging.Filter):
    """Let pass 30 warnings of one kind in a minute, and say with a later one how many more there were.

    A kind is a line of code and how its message begins: gunicorn puts addresses into the rest.
    """

    MOST, SECONDS, BEGINNING = 30, 60.0, 12

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}  # kind: since when, how many

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = (record.pathname, record.lineno, str(record.msg)[: self.BEGINNING]), self._clock()
        began, count = self._seen.get(kind, (now, 0))
        more = 0
        if now - began > self.SECONDS:
            began, count, more = now, 0, count - self.MOST
        self._seen[kind] = began, count + 1
        if more > 0:
            record.msg, record.args = f"{record.getMessage()} (and {more} more like this before)", None
        return count < self.MOST
