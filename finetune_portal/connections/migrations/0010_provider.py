"""Which provider a connection is at, and the trainers that this provider names."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0009_learned_limit"),
    ]

    operations = [
        migrations.AddField("connection", "provider", models.CharField(default="segmind", max_length=20)),
        migrations.AddField("connection", "trainers", models.JSONField(default=list)),
        migrations.RemoveConstraint("connection", "one_connection_of_a_built_in_kind"),
        migrations.AddConstraint(
            "connection",
            models.UniqueConstraint(
                fields=["kind", "provider"], condition=~Q(kind="own"), name="one_built_in_connection"
            ),
        ),
    ]
