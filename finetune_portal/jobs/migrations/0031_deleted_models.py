"""When and by whom the model of a job was deleted, where the job stays."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("jobs", "0030_approval"),
    ]

    operations = [
        migrations.AddField("job", "model_deleted_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "job",
            "model_deleted_by",
            models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
    ]
