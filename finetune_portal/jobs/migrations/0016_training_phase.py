"""What a training does beside its steps, and the end of its log."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0015_file_gone"),
    ]

    operations = [
        migrations.AddField(
            model_name="training",
            name="log",
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name="training",
            name="phase",
            field=models.CharField(blank=True, max_length=80),
        ),
    ]
