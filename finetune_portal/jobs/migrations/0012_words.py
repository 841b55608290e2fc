"""Word the labels of choices and fields as the pages do. Changes no column."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0011_due_at"),
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
                    ("refused", "Refused"),
                    ("unknown", "Answer lost"),
                ],
                default="open",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="job",
            name="instance_prompt",
            field=models.TextField(blank=True, max_length=1000, verbose_name="prompt"),
        ),
        migrations.AlterField(
            model_name="jobevent",
            name="source",
            field=models.CharField(
                choices=[
                    ("person", "Person"),
                    ("portal", "Portal"),
                    ("poll", "Provider"),
                    ("webhook", "Webhook"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="limits",
            name="per_person_day",
            field=models.PositiveIntegerField(null=True, verbose_name="jobs per person and day"),
        ),
        migrations.AlterField(
            model_name="limits",
            name="per_team_month",
            field=models.PositiveIntegerField(null=True, verbose_name="jobs of the team per month"),
        ),
    ]
