"""Name dates by _at."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_people"),
    ]

    operations = [
        migrations.RenameField(
            model_name="invitation",
            old_name="created",
            new_name="created_at",
        ),
        migrations.RenameField(
            model_name="invitation",
            old_name="expires",
            new_name="expires_at",
        ),
        migrations.RenameField(
            model_name="user",
            old_name="joined",
            new_name="joined_at",
        ),
        migrations.RenameField(
            model_name="user",
            old_name="seen",
            new_name="last_seen_at",
        ),
    ]
