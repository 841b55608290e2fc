"""Model files that the provider deleted."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0014_cost"),
    ]

    operations = [
        migrations.AddField("job", "file_gone_at", models.DateTimeField(null=True)),
    ]
