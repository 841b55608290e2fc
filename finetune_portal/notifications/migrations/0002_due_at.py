"""Name the dates of leased rows like dates: due_at and lease_expires_at."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0011_due_at"),
        ("notices", "0001_initial"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="notice",
            name="notices_not_done_e74f98_idx",
        ),
        migrations.RenameField(
            model_name="notice",
            old_name="due",
            new_name="due_at",
        ),
        migrations.RenameField(
            model_name="notice",
            old_name="lease_until",
            new_name="lease_expires_at",
        ),
        migrations.AddIndex(
            model_name="notice",
            index=models.Index(fields=["done", "due_at"], name="notices_not_done_4cde60_idx"),
        ),
    ]
