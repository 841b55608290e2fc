"""The cost of the latest run of a generation."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("costs", "0001_cost"),
        ("playground", "0005_cost"),
    ]

    operations = [
        migrations.AddField(
            model_name="generation",
            name="latest_cost",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="costs.cost"
            ),
        ),
    ]
