"""Name the dates of leased rows like dates: due_at and lease_expires_at."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0004_due_at"),
        ("jobs", "0011_due_at"),
        ("playground", "0002_generation"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="generation",
            name="generation_to_run",
        ),
        migrations.RenameField(
            model_name="generation",
            old_name="due",
            new_name="due_at",
        ),
        migrations.RenameField(
            model_name="generation",
            old_name="lease_until",
            new_name="lease_expires_at",
        ),
        migrations.AddIndex(
            model_name="generation",
            index=models.Index(
                condition=models.Q(("state", "queued")),
                fields=["connection", "due_at"],
                name="generation_to_run",
            ),
        ),
    ]
