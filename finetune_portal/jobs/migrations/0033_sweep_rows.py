"""What varies in a sweep, for jobs of older versions read off their parameters; and which job is its best."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

COLUMNS = ("learning_rate", "steps")


def write_axes(apps: Any, schema_editor: Any) -> None:
    jobs = apps.get_model("jobs", "Job").objects
    for sweep in set(jobs.exclude(sweep=None).values_list("sweep", flat=True)):
        rows = jobs.filter(sweep=sweep)
        rows.update(sweep_axes=_axes(list(rows.order_by("pk").values(*COLUMNS, "parameters"))))


def _axes(rows: list[dict[str, Any]]) -> list[str]:
    own = [name for name in COLUMNS if len({row[name] for row in rows}) > 1]
    names = dict.fromkeys(name for row in rows for name in row["parameters"])
    further = [name for name in names if len({repr(row["parameters"].get(name)) for row in rows}) > 1]
    return own + further


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0032_presets_of_projects"),
    ]

    operations = [
        migrations.AddField("job", "sweep_axes", models.JSONField(default=list)),
        migrations.AddField("job", "is_best", models.BooleanField(default=False)),
        migrations.AddConstraint(
            "job",
            models.UniqueConstraint(
                condition=models.Q(("is_best", True)), fields=("sweep",), name="one_best_of_a_sweep"
            ),
        ),
        migrations.RunPython(write_axes, migrations.RunPython.noop),
    ]
