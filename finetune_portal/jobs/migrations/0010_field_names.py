"""Name the fields after what they hold: dates end in _at, and the service that trains is the provider.

RenameField leaves Meta.indexes alone, so each index on a renamed column is dropped before and made again.
"""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Index, Q

RENAMED = {
    "job": {
        "created": "created_at",
        "sent": "sent_at",
        "ended": "ended_at",
        "changed": "updated_at",
        "archived": "archived_at",
        "listed": "last_listed_as",
        "told": "provider_data",
        "upstream_status": "provider_status",
        "cancel_asked": "cancel_requested_at",
        "file_asked": "file_check_requested_at",
    },
    "training": {
        "changed": "updated_at",
        "ahead": "jobs_ahead",
        "held_out_is_trained": "is_held_out_trained",
    },
    "jobevent": {"at": "created_at"},
    "attempt": {"started": "started_at", "ended": "ended_at"},
}
OLD_INDEXES = (
    "jobs_job_archive_dba4b9_idx",
    "jobs_job_archive_e11895_idx",
    "jobs_job_archive_b5522f_idx",
    "jobs_job_archive_2bfa7c_idx",
    "jobs_of_a_person",
    "jobs_of_a_dataset",
    "public_jobs",
    "archived_jobs",
    "file_to_check",
    "balance_to_ask",
)
INDEXES = (
    Index(fields=["archived_at", "-id"], name="jobs_job_archive_95a226_idx"),
    Index(fields=["archived_at", "group", "-id"], name="jobs_job_archive_677ff0_idx"),
    Index(fields=["archived_at", "name", "id"], name="jobs_job_archive_6a84bb_idx"),
    Index(fields=["archived_at", "updated_at", "id"], name="jobs_job_archive_5fff22_idx"),
    Index(fields=["owner", "archived_at", "group", "-id"], name="jobs_of_a_person"),
    Index(fields=["dataset", "archived_at", "group", "-id"], name="jobs_of_a_dataset"),
    Index(fields=["archived_at", "-id", "group"], name="public_jobs", condition=Q(is_public=True)),
    Index(fields=["-id", "group"], name="archived_jobs", condition=Q(archived_at__isnull=False)),
    Index(fields=["due"], name="file_to_check", condition=Q(file_check_requested_at__isnull=False)),
    Index(
        fields=["connection"],
        name="balance_to_ask",
        condition=Q(credits_before__isnull=False, credits_after__isnull=True, ended_at__isnull=False),
    ),
)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0009_listed")]

    operations = [
        *[migrations.RemoveIndex("job", name) for name in OLD_INDEXES],
        *[
            migrations.RenameField(model, old, new)
            for model, names in RENAMED.items()
            for old, new in names.items()
        ],
        *[migrations.AddIndex("job", index) for index in INDEXES],
        migrations.AlterField(
            "attempt",
            "job",
            models.ForeignKey(
                "jobs.job", on_delete=django.db.models.deletion.CASCADE, related_name="submit_attempts"
            ),
        ),
    ]
