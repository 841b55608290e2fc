"""The parameters of a job beside steps and learning rate."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0016_training_phase"),
    ]

    operations = [
        migrations.AddField("job", "parameters", models.JSONField(default=dict)),
    ]
