"""A job remembers its connection; those made before went to the built-in one."""

from __future__ import annotations

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def give_to_built_in(apps: Apps, _: BaseDatabaseSchemaEditor) -> None:
    built_in = apps.get_model("connections", "Connection").objects.earliest("pk")
    apps.get_model("jobs", "Job").objects.update(connection=built_in)


def of(*, null: bool = False) -> models.ForeignKey:
    return models.ForeignKey(
        to="connections.connection",
        null=null,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="jobs",
    )


class Migration(migrations.Migration):
    dependencies = [("connections", "0001_initial"), ("jobs", "0003_table")]

    operations = [
        migrations.AddField("job", "connection", of(null=True)),
        migrations.RunPython(give_to_built_in, migrations.RunPython.noop),
        migrations.AlterField("job", "connection", of()),
        migrations.DeleteModel("Connection"),
    ]
