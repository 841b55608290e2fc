"""An attempt remembers its connection; for those made before, that of their job is the best guess."""

from __future__ import annotations

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def take_from_job(apps: Apps, _: BaseDatabaseSchemaEditor) -> None:
    job = apps.get_model("jobs", "Job").objects.filter(pk=models.OuterRef("job"))
    attempts = apps.get_model("jobs", "Attempt").objects.filter(connection=None)
    attempts.update(connection=models.Subquery(job.values("connection")))


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0012_admin_key_failure"),
        ("jobs", "0020_trainer"),
    ]

    operations = [
        migrations.AddField(
            "attempt",
            "connection",
            models.ForeignKey(
                to="connections.connection",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
            ),
        ),
        migrations.RunPython(take_from_job, migrations.RunPython.noop),
    ]
