"""Triggers that make the audit table append-only, on SQLite and PostgreSQL.

An entry may lose its details, when what it is about is deleted (services.py: redact), and nothing else of it.
They are installed after each migration, because SQLite drops the triggers of a table that Django remakes.
Rows younger than MIN_KEEP_DAYS cannot be deleted; older ones may be, by the operator's setting.
"""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "audit_auditevent"
MIN_KEEP_DAYS = 30
TEXT = "The record of who did what can only grow."

KEPT = ("id", "at", "actor_id", "action", "thing", "address", "request_id")


def _changed(differs: str) -> str:
    """The condition of an UPDATE that does more than remove the details, with an operator that knows NULL."""
    others = (f"NEW.{name} {differs} OLD.{name}" for name in KEPT)
    return " OR ".join((f"NEW.detail {differs} '{{}}'", *others))


SQLITE = (
    "DROP TRIGGER IF EXISTS audit_no_change",  # of an earlier version, which refused every change
    f"""CREATE TRIGGER audit_no_change BEFORE UPDATE ON {TABLE}
    WHEN {_changed("IS NOT")}
    BEGIN SELECT RAISE(ABORT, '{TEXT}'); END""",
    f"""CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON {TABLE}
    WHEN OLD.at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-{MIN_KEEP_DAYS} days')
    BEGIN SELECT RAISE(ABORT, '{TEXT}'); END""",
)
POSTGRESQL = (
    f"""CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{TEXT}'; END $$""",
    f"""CREATE OR REPLACE TRIGGER audit_no_change BEFORE UPDATE ON {TABLE} FOR EACH ROW
    WHEN ({_changed("IS DISTINCT FROM")}) EXECUTE FUNCTION audit_refuse()""",
    f"""CREATE OR REPLACE TRIGGER audit_no_delete BEFORE DELETE ON {TABLE}
    FOR EACH ROW WHEN (OLD.at > now() - interval '{MIN_KEEP_DAYS} days') EXECUTE FUNCTION audit_refuse()""",
    f"""CREATE OR REPLACE TRIGGER audit_no_empty BEFORE TRUNCATE ON {TABLE}
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
)


def install(using: str = "default", **_: Any) -> None:
    """Install the triggers. A receiver of `post_migrate`."""
    _run(connections[using], SQLITE if connections[using].vendor == "sqlite" else POSTGRESQL)


def remove(using: str = "default") -> None:
    """Remove the triggers, for tests, which empty their database."""
    connection = connections[using]
    on = "" if connection.vendor == "sqlite" else f" ON {TABLE}"
    names = ("audit_no_change", "audit_no_delete", "audit_no_empty")
    _run(connection, tuple(f"DROP TRIGGER IF EXISTS {name}{on}" for name in names))


def _run(connection: BaseDatabaseWrapper, statements: tuple[str, ...]) -> None:
    if TABLE not in connection.introspection.table_names():
        return
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
