"""Notifications of approvals."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notices", "0004_confirmed_address"),
    ]

    operations = [
        migrations.AddField(
            model_name="channel",
            name="is_subscribed_to_approval",
            field=models.BooleanField(default=True),
        ),
        migrations.AlterField(
            model_name="notification",
            name="event",
            field=models.CharField(
                choices=[
                    ("ready", "Ready"),
                    ("failed", "Failed"),
                    ("decision", "Needs a decision"),
                    ("approval", "Approvals"),
                    ("approved", "Approved"),
                    ("declined", "Declined"),
                    ("test", "Test"),
                    ("confirm", "Confirmation of an address"),
                ],
                max_length=10,
            ),
        ),
    ]
