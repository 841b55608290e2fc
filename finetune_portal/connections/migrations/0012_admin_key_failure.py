"""Whether the provider refused the admin key, and when it is tried again."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0011_admin_key"),
    ]

    operations = [
        migrations.AddField(
            "connection", "admin_key_failure", models.CharField(blank=True, default="", max_length=500)
        ),
        migrations.AddField("connection", "admin_key_due_at", models.DateTimeField(null=True)),
    ]
