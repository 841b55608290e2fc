"""Transfers that the portal gave up after refusals that cannot pass."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("datasets", "0008_due_at"),
    ]

    operations = [
        migrations.AddField("transfer", "refusals", models.PositiveIntegerField(default=0)),
        migrations.AddField("transfer", "failed_at", models.DateTimeField(null=True)),
    ]
