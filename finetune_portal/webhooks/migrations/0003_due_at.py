"""Name the dates of leased rows like dates: due_at and lease_expires_at."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0002_settings_page"),
    ]

    operations = [
        migrations.RenameField(
            model_name="selftest",
            old_name="due",
            new_name="due_at",
        ),
        migrations.RenameField(
            model_name="selftest",
            old_name="lease_until",
            new_name="lease_expires_at",
        ),
    ]
