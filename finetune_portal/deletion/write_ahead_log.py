"""SQLite's write-ahead log, which keeps the old content of deleted rows until it is emptied."""

from __future__ import annotations

from django.db import connection

WAIT_MS = 200  # for readers and writers; others wait for the database meanwhile


def empty() -> bool:
    """Bring the log into the database file and empty it. False while somebody reads an older state.

    The database file keeps nothing of deleted rows, by `secure_delete`. PostgreSQL overwrites its log by
    itself, and old rows by VACUUM.
    """
    if connection.vendor != "sqlite":
        return True
    options = connection.settings_dict["OPTIONS"]
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout={WAIT_MS}")
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            is_busy = cursor.fetchone()[0]
        finally:
            cursor.execute(f"PRAGMA busy_timeout={int(options.get('timeout', 5) * 1000)}")
    return not is_busy
