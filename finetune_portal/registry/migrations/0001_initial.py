"""Models, and the portal's own copies of their files."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import finetune_portal.registry.models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("jobs", "0024_file_kept"),
    ]

    operations = [
        migrations.CreateModel(
            name="Model",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="model", to="jobs.job"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ModelFile",
            fields=[
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
                (
                    "kind",
                    models.CharField(
                        choices=[("weights", "Weights"), ("checkpoint", "Checkpoint")],
                        default="weights",
                        max_length=10,
                    ),
                ),
                ("step", models.PositiveIntegerField(null=True)),
                (
                    "place",
                    models.CharField(
                        default=finetune_portal.registry.models.new_place, max_length=100, unique=True
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("wanted", "On its way"),
                            ("stored", "Stored"),
                            ("failed", "Not copied"),
                            ("removed", "Removed"),
                        ],
                        default="wanted",
                        max_length=10,
                    ),
                ),
                ("requested_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("failing_since", models.DateTimeField(null=True)),
                ("waits_for_room", models.BooleanField(default=False)),
                ("error", models.CharField(blank=True, max_length=300)),
                ("size", models.BigIntegerField(null=True)),
                ("received", models.BigIntegerField(default=0)),
                ("etag", models.CharField(blank=True, max_length=200)),
                ("sha256", models.CharField(blank=True, max_length=64)),
                ("stored_at", models.DateTimeField(null=True)),
                ("used_at", models.DateTimeField(null=True)),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="files", to="registry.model"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "wanted")), fields=["due_at"], name="model_file_wanted"
                    ),
                    models.Index(
                        condition=models.Q(("state", "stored")), fields=["used_at"], name="model_file_stored"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("model", "kind", "step"), name="one_file_of_a_step"),
                    models.UniqueConstraint(
                        condition=models.Q(("step", None)),
                        fields=("model", "kind"),
                        name="one_file_of_the_last_step",
                    ),
                ],
            },
        ),
    ]
