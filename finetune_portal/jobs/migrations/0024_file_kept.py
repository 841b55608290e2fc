"""Since when the portal has a copy of its own of a job's model file."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0023_slug_index"),
    ]

    operations = [
        migrations.AddField("job", "file_kept_at", models.DateTimeField(null=True)),
    ]
