"""Name the dates of leased rows like dates: due_at and lease_expires_at."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0003_calls"),
    ]

    operations = [
        migrations.RenameField(
            model_name="connection",
            old_name="due",
            new_name="due_at",
        ),
        migrations.RenameField(
            model_name="connection",
            old_name="lease_until",
            new_name="lease_expires_at",
        ),
    ]
