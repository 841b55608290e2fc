"""The training parameters that a provider takes. They are asked for at once."""

from __future__ import annotations

from django.db import migrations, models
from django.utils.timezone import now


def ask_now(apps, schema_editor):  # type: ignore[no-untyped-def]
    apps.get_model("connections", "Connection").objects.update(capabilities_due_at=now())


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0007_cost"),
    ]

    operations = [
        migrations.AddField("connection", "parameters", models.JSONField(null=True)),
        migrations.RunPython(ask_now, migrations.RunPython.noop),
    ]
