"""What a job trains at a provider with several trainers, and by which attempt and addresses it is known there."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0019_preset_parameters"),
    ]

    operations = [
        migrations.AddField("job", "trainer", models.CharField(blank=True, default="", max_length=200)),
        migrations.AddField("job", "provider_addresses", models.JSONField(default=dict)),
        migrations.AddField("job", "estimated_cost", models.FloatField(null=True)),
        migrations.AddField("job", "currency", models.CharField(default="credits", max_length=10)),
        migrations.AddField("attempt", "nonce", models.CharField(blank=True, default="", max_length=20)),
        migrations.AddField(
            "attempt", "dataset_address", models.CharField(blank=True, default="", max_length=2000)
        ),
    ]
