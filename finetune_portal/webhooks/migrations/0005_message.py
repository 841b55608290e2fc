"""Messages at the address of an attempt, until the worker has verified them."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0020_trainer"),
        ("webhooks", "0004_endpoint"),
    ]

    operations = [
        migrations.AlterField(
            "delivery",
            "result",
            models.CharField(
                choices=[
                    ("waiting", "Waiting"),
                    ("looked_up", "Looked up"),
                    ("listed", "No job named"),
                    ("not_asked", "Not asked"),
                    ("signed", "Signed"),
                    ("unsigned", "Not signed"),
                ],
                default="waiting",
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            "Message",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("due_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("lease", models.UUIDField(editable=False, null=True)),
                ("lease_expires_at", models.DateTimeField(editable=False, null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("headers", models.JSONField()),
                ("body", models.BinaryField()),
                (
                    "attempt",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="jobs.attempt"),
                ),
                (
                    "delivery",
                    models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, to="webhooks.delivery"),
                ),
            ],
            options={"abstract": False},
        ),
    ]
