"""Write a cost for each paid generation of older versions, with what the provider said, as floats."""

from __future__ import annotations

from typing import Any

from django.db import migrations

from finetune_portal.costs.amounts import exact

BATCH = 500
STATES = {"queued": "reserved", "running": "reserved", "unconfirmed": "unconfirmed"}
NOT_CHARGED = "Nothing was charged."


def write_costs(apps: Any, schema_editor: Any) -> None:
    generations = apps.get_model("playground", "Generation").objects
    paid = generations.exclude(connection__kind="engine").select_related("connection", "job")
    batch: list[Any] = []
    for generation in paid.order_by("pk").iterator(chunk_size=BATCH):
        if "run" not in generation.connection.capabilities and not _is_not_charged(generation):
            batch.append(generation)
        if len(batch) == BATCH:
            _store(apps, batch)
            batch = []
    _store(apps, batch)


def _is_not_charged(generation: Any) -> bool:
    is_failed = generation.state == "failed" and generation.error.endswith(NOT_CHARGED)
    return is_failed and generation.cost is None


def _store(apps: Any, batch: list[Any]) -> None:
    model, generations = apps.get_model("costs", "Cost"), apps.get_model("playground", "Generation").objects
    costs = model.objects.bulk_create([model(**_fields(generation)) for generation in batch])
    for generation, cost in zip(batch, costs, strict=True):
        generations.filter(pk=generation.pk).update(latest_cost=cost)


def _fields(generation: Any) -> dict[str, Any]:
    is_segmind = generation.connection.provider == "segmind"
    fields: dict[str, Any] = {
        "kind": "generation",
        "subject": generation.pk,
        "job": generation.job_id,
        "title": generation.job.name,
        "person_id": generation.owner_id,
        "connection_id": generation.connection_id,
        "currency": "credits" if is_segmind else "USD",
        "at": generation.created_at,
        "state": STATES.get(generation.state, "unbilled"),
    }
    if generation.cost is not None:
        billed_at = generation.ended_at or generation.created_at
        fields |= {"bill": exact(generation.cost), "bill_source": "answer", "billed_at": billed_at}
        if fields["state"] != "reserved":
            fields |= {"state": "billed", "currency": generation.currency}
    return fields


class Migration(migrations.Migration):
    dependencies = [
        ("playground", "0006_latest_cost"),
    ]

    operations = [
        migrations.RunPython(write_costs, migrations.RunPython.noop),
    ]
