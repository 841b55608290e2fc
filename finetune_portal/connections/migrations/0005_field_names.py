"""Rename the fields after what they hold: dates end in _at, booleans begin with is_."""

from __future__ import annotations

from django.db import migrations

CONNECTION_FIELDS = {
    "off": "disabled_at",
    "checked": "checked_at",
    "answered": "last_answer_at",
    "changed": "updated_at",
    "key_refused": "is_key_rejected",
    "is_closed": "is_training_closed",
    "sealed_key": "encrypted_key",
    "calls_reset": "calls_reset_at",
    "can": "capabilities",
    "can_due": "capabilities_due_at",
}


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0004_due_at"),
    ]

    operations = [
        *(migrations.RenameField("connection", old, new) for old, new in CONNECTION_FIELDS.items()),
        migrations.RenameField("call", "at", "made_at"),
    ]
