"""The loss on the held-out pair, weighted by the noise levels of a sample."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0017_parameters"),
    ]

    operations = [
        migrations.AddField(
            model_name="training",
            name="held_out_weighted",
            field=models.JSONField(default=list),
        ),
    ]
