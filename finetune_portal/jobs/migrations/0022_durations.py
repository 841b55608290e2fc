"""When a job began to train, and an index of the finished jobs by which the form says how long one trains."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0021_attempt_connection"),
    ]

    operations = [
        migrations.AddField("training", "began_at", models.DateTimeField(null=True)),
        migrations.AddIndex(
            "job",
            models.Index(fields=["connection", "trainer", "state", "-id"], name="jobs_of_a_trainer"),
        ),
    ]
