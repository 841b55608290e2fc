"""The connections, and the built-in one for what is there already."""

from __future__ import annotations

import django.utils.timezone
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def make_built_in(apps: Apps, _: BaseDatabaseSchemaEditor) -> None:
    kind, name = ("engine", "Local engine") if settings.LOCAL_ENGINE else ("environment", "Segmind")
    apps.get_model("connections", "Connection").objects.create(kind=kind, name=name)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Connection",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("due", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("lease", models.UUIDField(editable=False, null=True)),
                ("lease_until", models.DateTimeField(editable=False, null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("engine", "Local engine"),
                            ("environment", "Set by the environment"),
                            ("own", "Set on this page"),
                        ],
                        default="own",
                        max_length=12,
                    ),
                ),
                ("name", models.CharField(max_length=60)),
                ("base_url", models.CharField(blank=True, max_length=300)),
                ("sealed_key", models.TextField(blank=True)),
                ("last_four", models.CharField(blank=True, max_length=4)),
                ("is_default", models.BooleanField(default=False)),
                ("off", models.DateTimeField(null=True)),
                ("checked", models.DateTimeField(null=True)),
                ("answered", models.DateTimeField(null=True)),
                ("failing_since", models.DateTimeField(null=True)),
                ("failure", models.CharField(blank=True, max_length=500)),
                ("key_refused", models.BooleanField(default=False)),
                ("is_closed", models.BooleanField(default=False)),
                ("credits", models.FloatField(null=True)),
                ("calls_left", models.IntegerField(null=True)),
                ("calls_reset", models.DateTimeField(null=True)),
                ("changed", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("is_default", True)),
                        fields=("is_default",),
                        name="one_default",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "own"), _negated=True),
                        fields=("kind",),
                        name="one_connection_of_a_built_in_kind",
                    ),
                ],
            },
        ),
        migrations.RunPython(make_built_in, migrations.RunPython.noop),
    ]
