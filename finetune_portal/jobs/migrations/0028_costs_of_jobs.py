"""Write a cost for each paid job of older versions: what was known of it stood in the job, as floats."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.models import Q

from finetune_portal.costs.amounts import exact

BATCH = 500
UNSENT = ("waiting", "queued", "sending")
DOUBTED = ("unconfirmed", "needs_decision")
NOT_CHARGED = ("refused", "closed")  # unless it was sent, as one that the provider refused later


def write_costs(apps: Any, schema_editor: Any) -> None:
    paid = (
        apps.get_model("jobs", "Job")
        .objects.exclude(owner=None)
        .exclude(connection__kind="engine")
        .select_related("connection")
    )
    paid = paid.exclude(Q(state__in=NOT_CHARGED, sent_at=None))
    batch: list[Any] = []
    for job in paid.order_by("pk").iterator(chunk_size=BATCH):
        batch.append(apps.get_model("costs", "Cost")(**_fields(job)))
        if len(batch) == BATCH:
            _store(apps, batch)
            batch = []
    _store(apps, batch)


def _store(apps: Any, batch: list[Any]) -> None:
    apps.get_model("costs", "Cost").objects.bulk_create(batch)
    attempts = apps.get_model("jobs", "Attempt").objects
    for cost in batch:
        attempts.filter(job=cost.subject, outcome__in=("open", "unknown", "accepted")).update(cost=cost)


def _fields(job: Any) -> dict[str, Any]:
    at = job.sent_at or job.created_at
    fields: dict[str, Any] = {
        "kind": "job",
        "subject": job.pk,
        "job": job.pk,
        "title": job.name,
        "person_id": job.owner_id,
        "connection_id": job.connection_id,
        "currency": job.currency,
        "at": job.created_at,
        "state": _state(job),
    }
    if job.estimated_cost is not None:
        estimate = {"estimate_source": "price", "estimated_at": at}
        fields |= {"estimate": exact(job.estimated_cost), **estimate}
    if job.cost is not None:
        source = "bill" if job.trainer else "balance"
        fields |= {"bill": exact(job.cost), "bill_source": source, "billed_at": job.ended_at or at}
        fields["state"] = "billed"
    if not job.trainer:
        fields["currency"] = "credits"
    elif job.estimated_cost is None and job.cost is None:
        fields["currency"] = "USD"
    return fields


def _state(job: Any) -> str:
    if job.state in DOUBTED:
        return "unconfirmed"
    return "reserved" if job.state in UNSENT else "unbilled"


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0027_attempt_cost"),
    ]

    operations = [
        migrations.RunPython(write_costs, migrations.RunPython.noop),
    ]
