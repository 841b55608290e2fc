"""Rename Notice to Notification, and fields after what they hold."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

CHANNEL_FIELDS = {
    "shown": "display_address",
    "sealed": "encrypted_address",
    "on_ready": "is_subscribed_to_ready",
    "on_failed": "is_subscribed_to_failed",
    "on_decision": "is_subscribed_to_decision",
    "since": "subscribed_at",
    "last_ok": "last_delivered_at",
    "last_failed": "last_failed_at",
}


def _related_to(model: str, **options: Any) -> models.ForeignKey[Any, Any]:
    return models.ForeignKey(
        model, on_delete=django.db.models.deletion.CASCADE, related_name="notifications", **options
    )


class Migration(migrations.Migration):
    dependencies = [
        ("notices", "0002_due_at"),
        ("jobs", "0001_initial"),
    ]

    operations = [
        *(migrations.RenameField("channel", old, new) for old, new in CHANNEL_FIELDS.items()),
        migrations.RemoveIndex("notice", "notices_not_done_4cde60_idx"),
        migrations.RemoveConstraint("notice", "one_notice_an_event"),
        migrations.RenameModel("Notice", "Notification"),
        migrations.RenameField("notification", "done", "finished_at"),
        migrations.AddIndex(
            "notification",
            models.Index(fields=["finished_at", "due_at"], name="notices_not_finishe_8d1acc_idx"),
        ),
        migrations.AddConstraint(
            "notification",
            models.UniqueConstraint(fields=("job", "channel", "event"), name="one_notification_an_event"),
        ),
        migrations.AlterField("notification", "channel", _related_to("notices.channel")),
        migrations.AlterField("notification", "job", _related_to("jobs.job", null=True)),
    ]
