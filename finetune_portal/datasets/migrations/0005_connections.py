"""A trip belongs to a connection; those made before belong to the built-in one."""

from __future__ import annotations

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def give_to_built_in(apps: Apps, _: BaseDatabaseSchemaEditor) -> None:
    built_in = apps.get_model("connections", "Connection").objects.earliest("pk")
    apps.get_model("datasets", "Carry").objects.update(connection=built_in)


def of(model: str, *, null: bool = False) -> models.ForeignKey:
    return models.ForeignKey(
        to=model, null=null, on_delete=django.db.models.deletion.CASCADE, related_name="carries"
    )


class Migration(migrations.Migration):
    dependencies = [("connections", "0001_initial"), ("datasets", "0004_pair_count")]

    operations = [
        migrations.AlterField("carry", "dataset", of("datasets.dataset")),
        migrations.AddField("carry", "connection", of("connections.connection", null=True)),
        migrations.RunPython(give_to_built_in, migrations.RunPython.noop),
        migrations.AlterField("carry", "connection", of("connections.connection")),
        migrations.AddConstraint(
            "carry",
            models.UniqueConstraint(fields=["dataset", "connection"], name="one_trip_to_a_connection"),
        ),
    ]
