from django.db import migrations, models

NAMES = {
    "job": {
        "cancelled": "is_cancelled",
        "public": "is_public",
        "due": "due_at",
        "created": "created_at",
        "changed": "updated_at",
    },
    "webhook": {"trusted": "is_trusted", "active": "is_active", "created": "created_at"},
    "delivery": {"due": "due_at", "sent": "sent_at", "created": "created_at"},
}


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0002_training"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="webhook", name="one_active_webhook"),
        *(
            migrations.RenameField(model_name=model, old_name=old, new_name=new)
            for model, names in NAMES.items()
            for old, new in names.items()
        ),
        migrations.AddConstraint(
            model_name="webhook",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_active", True)), fields=("is_active",), name="one_active_webhook"
            ),
        ),
    ]
