"""The further parameters of a preset. Presets from before have none: all are at their defaults."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0018_weighted_loss"),
    ]

    operations = [
        migrations.AddField("preset", "parameters", models.JSONField(default=dict)),
    ]
