"""Name the dates of leased rows like dates: due_at and lease_expires_at."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0004_due_at"),
        ("datasets", "0008_due_at"),
        ("jobs", "0010_field_names"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="job",
            name="file_to_check",
        ),
        migrations.RemoveIndex(
            model_name="training",
            name="training_to_follow",
        ),
        migrations.RenameField(
            model_name="job",
            old_name="due",
            new_name="due_at",
        ),
        migrations.RenameField(
            model_name="job",
            old_name="lease_until",
            new_name="lease_expires_at",
        ),
        migrations.RenameField(
            model_name="training",
            old_name="due",
            new_name="due_at",
        ),
        migrations.RenameField(
            model_name="training",
            old_name="lease_until",
            new_name="lease_expires_at",
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("file_check_requested_at__isnull", False)),
                fields=["due_at"],
                name="file_to_check",
            ),
        ),
        migrations.AddIndex(
            model_name="training",
            index=models.Index(
                condition=models.Q(("is_over", False)), fields=["due_at"], name="training_to_follow"
            ),
        ),
    ]
