"""Since when and why a provider takes no new jobs, and when it is tried again."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0005_field_names"),
    ]

    operations = [
        migrations.AddField("connection", "closed_at", models.DateTimeField(null=True)),
        migrations.AddField("connection", "closed_reason", models.CharField(blank=True, max_length=600)),
        migrations.AddField("connection", "probe_at", models.DateTimeField(null=True)),
        migrations.AddField("connection", "probes", models.PositiveIntegerField(default=0)),
    ]
