"""How many calls a minute an account takes that names no number itself."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0008_parameters"),
    ]

    operations = [
        migrations.AddField("connection", "calls_learned", models.PositiveIntegerField(null=True)),
        migrations.AddField("connection", "calls_learned_at", models.DateTimeField(null=True)),
    ]
