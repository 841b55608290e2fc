"""A cheap way to see whether anybody has written to the database."""

from __future__ import annotations

from django.db import connection


def version() -> str:
    """Return a text that changes with every commit of others; on PostgreSQL it names the visible ones."""
    query = "PRAGMA data_version" if connection.vendor == "sqlite" else "SELECT pg_current_snapshot()"
    with connection.cursor() as cursor:
        cursor.execute(query)
        return str(cursor.fetchone()[0])
