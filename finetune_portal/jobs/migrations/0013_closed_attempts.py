"""Attempts that met a provider closed to new jobs. Changes no column."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0012_words"),
    ]

    operations = [
        migrations.AlterField(
            model_name="attempt",
            name="outcome",
            field=models.CharField(
                choices=[
                    ("open", "Open"),
                    ("accepted", "Accepted"),
                    ("not_sent", "Not sent"),
                    ("busy", "Rate limited"),
                    ("closed", "Closed to new jobs"),
                    ("refused", "Refused"),
                    ("unknown", "Answer lost"),
                ],
                default="open",
                max_length=10,
            ),
        ),
    ]
