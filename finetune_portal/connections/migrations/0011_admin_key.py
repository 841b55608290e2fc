"""The key that is only asked for what was paid, beside that of the account."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0010_provider"),
    ]

    operations = [
        migrations.AddField("connection", "encrypted_admin_key", models.TextField(blank=True, default="")),
        migrations.AddField(
            "connection", "admin_last_four", models.CharField(blank=True, default="", max_length=4)
        ),
    ]
