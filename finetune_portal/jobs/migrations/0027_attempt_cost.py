"""The cost of each attempt to send a job."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("costs", "0001_cost"),
        ("jobs", "0026_deletedjob"),
    ]

    operations = [
        migrations.AddField(
            model_name="attempt",
            name="cost",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="costs.cost"
            ),
        ),
    ]
