"""Find a job by the slug of its model, among very many."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0022_durations"),
    ]

    operations = [
        migrations.AddIndex(
            "job", models.Index(fields=["slug"], name="job_by_slug", condition=~models.Q(slug=""))
        ),
    ]
