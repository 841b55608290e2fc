"""What passes by itself: a database that is busy or out of reach, and work for which there is no room now."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError

SENTENCE = "The database is busy, so this was not completed. Try again in a few seconds."
HEADERS = {"Retry-After": "5"}

# SQLSTATE: connection lost, deadlock, too many connections, lock not available, cancelled or shut down.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
BUSY_STATES = ("08", "40", "53300", "55P03", "57")


class BusyError(Exception):
    """There is no room for this now, and nothing was done. The text is a sentence for people."""


def is_busy(exc: BaseException | None) -> bool:
    """Return whether a later try may succeed. A full disk and a broken file count as faults."""
    if not isinstance(exc, OperationalError | InterfaceError):
        return False
    state = getattr(exc.__cause__, "sqlstate", "SQLite")
    if state == "SQLite":
        return "is locked" in str(exc)
    return state is None or state.startswith(BUSY_STATES)  # None: there is no connection
