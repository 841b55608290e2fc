"""Jobs that wait for an approval are active. A generated column cannot be altered, so it is made again."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Case, Index, Q, Value, When

STATES = [
    ("approval", "Waiting for approval"),
    ("waiting", "Waiting for its dataset"),
    ("queued", "About to be sent"),
    ("sending", "Sending"),
    ("unconfirmed", "Unconfirmed"),
    ("needs_decision", "Needs your decision"),
    ("refused", "Refused"),
    ("closed", "Closed"),
    ("requested", "In the queue"),
    ("data", "Reading the dataset"),
    ("training", "Training"),
    ("running", "Running"),
    ("trained", "Trained"),
    ("deploying", "Deploying"),
    ("ready", "Ready"),
    ("failed", "Failed"),
]
ACTIVE = [
    *("approval", "waiting", "queued", "sending", "unconfirmed", "needs_decision"),
    *("requested", "data", "training", "running", "trained", "deploying"),
]
INDEXES = (
    Index(fields=["archived_at", "group", "-id", "project"], name="jobs_of_a_group"),
    Index(fields=["project", "archived_at", "group", "-id"], name="grouped_jobs_of_a_project"),
    Index(fields=["owner", "archived_at", "group", "-id", "project"], name="grouped_jobs_of_a_person"),
    Index(fields=["dataset", "archived_at", "group", "-id"], name="jobs_of_a_dataset"),
    Index(fields=["archived_at", "-id", "group"], name="public_jobs", condition=Q(is_public=True)),
    Index(fields=["-id", "group"], name="archived_jobs", condition=Q(archived_at__isnull=False)),
)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0029_indexes_with_project")]

    operations = [
        migrations.AlterField(
            "job", "state", models.CharField(choices=STATES, db_index=True, default="queued", max_length=15)
        ),
        migrations.AlterField(
            "jobevent", "state", models.CharField(blank=True, choices=STATES, max_length=15)
        ),
        *[migrations.RemoveIndex("job", index.name) for index in INDEXES],
        migrations.RemoveField("job", "group"),
        migrations.AddField(
            "job",
            "group",
            models.GeneratedField(
                db_persist=True,
                expression=Case(
                    When(state__in=ACTIVE, then=Value("active")),
                    When(state__in=["ready"], then=Value("ready")),
                    When(state__in=["failed", "refused", "closed"], then=Value("failed")),
                    default=Value(""),
                ),
                output_field=models.CharField(max_length=10),
            ),
        ),
        *[migrations.AddIndex("job", index) for index in INDEXES],
    ]
