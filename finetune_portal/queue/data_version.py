"""Whether anything was written since the last look, for next to nothing."""

from __future__ import annotations

from django.db import connection


def version() -> str:
    """Another text after every commit by others; on PostgreSQL it says which ones are seen."""
    question = "PRAGMA data_version" if connection.vendor == "sqlite" else "SELECT pg_current_snapshot()"
    with connection.cursor() as cursor:
        cursor.execute(question)
        return str(cursor.fetchone()[0])
