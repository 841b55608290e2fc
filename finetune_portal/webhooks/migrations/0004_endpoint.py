"""Rename Hook to Endpoint, and the fields after what they hold."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0003_due_at"),
    ]

    operations = [
        migrations.RenameModel("Hook", "Endpoint"),
        migrations.RenameField("endpoint", "created", "created_at"),
        migrations.RenameField("endpoint", "expires", "expires_at"),
        migrations.RenameField("endpoint", "is_engines", "is_local_engine"),
        migrations.RenameField("endpoint", "unsigned", "last_unsigned_at"),
        migrations.RenameField("delivery", "received", "received_at"),
        migrations.RenameField("delivery", "digested", "processed_at"),
        migrations.RenameField("selftest", "created", "created_at"),
        migrations.RenameField("selftest", "arrived", "arrived_at"),
        migrations.RenameField("selftest", "done", "finished_at"),
        migrations.RenameField("selftest", "trouble", "error"),
        migrations.RenameField("selftest", "is_near", "is_private"),
    ]
