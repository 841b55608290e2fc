"""What older versions knew of costs, as floats in jobs and generations, is in the ledger to the last cent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.costs import totals
from finetune_portal.costs.models import Cost
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.playground.models import Generation
from tests.people import make_generation, make_job

pytestmark = pytest.mark.django_db
AT = now() - timedelta(days=40)


@pytest.fixture
def paid(settings: Any) -> Connection:
    settings.LOCAL_ENGINE = False
    return connections.default()


def migrate() -> None:
    Cost.objects.all().delete()
    for app, name in (("jobs", "0028_costs_of_jobs"), ("playground", "0007_costs_of_generations")):
        module = import_module(f"finetune_portal.{app}.migrations.{name}")
        module.write_costs(apps, None)


def costs(job: Job) -> list[tuple[str, Decimal | None, Decimal | None]]:
    rows = Cost.objects.filter(kind="job", subject=job.pk)
    return [(row.state, row.estimate, row.bill) for row in rows]


def test_each_job_has_its_amounts(alice: User, paid: Connection, at_fal: Connection) -> None:
    dated = {"created_at": AT, "sent_at": AT}
    fal = {"connection": at_fal, "trainer": "t", "currency": "USD", **dated}
    billed = make_job(alice, "ready", cost=0.1 + 0.2, estimated_cost=4.85, **fal)
    estimated = make_job(alice, "training", estimated_cost=9.71, **fal)
    by_balance = make_job(alice, "ready", cost=2.5, **dated)
    lost = make_job(alice, "needs_decision", created_at=AT)
    queued = make_job(alice, "queued")
    withdrawn = make_job(alice, "closed")
    outside = make_job(None, "ready", cost=7, **dated)
    attempt = Attempt.objects.create(job=lost, connection=paid, outcome="unknown")
    migrate()
    assert costs(billed) == [("billed", Decimal("4.85"), Decimal("0.3"))]
    assert costs(estimated) == [("unbilled", Decimal("9.71"), None)]
    assert costs(by_balance) == [("billed", None, Decimal("2.5"))]
    assert costs(lost) == [("unconfirmed", None, None)]
    assert costs(queued) == [("reserved", None, None)]
    assert costs(withdrawn) == costs(outside) == []
    attempt.refresh_from_db()
    assert attempt.cost == Cost.objects.get(subject=lost.pk)
    row = Cost.objects.get(subject=billed.pk)
    assert (row.at, row.currency, row.person, row.bill_source) == (AT, "USD", alice, "bill")
    assert Cost.objects.get(subject=by_balance.pk).bill_source == "balance"
    by_currency = {line.currency: line.total for line in totals.totals(Cost.objects.all())}
    assert by_currency == {"USD": Decimal("10.01"), "credits": Decimal("2.5")}


def test_jobs_of_the_local_engine_have_none(alice: User) -> None:
    make_job(alice, "ready")
    make_generation(make_job(alice, "ready"))
    migrate()
    assert not Cost.objects.exists()


def test_each_generation_has_its_amount(alice: User, paid: Connection) -> None:
    job = make_job(alice, "ready")
    for fields in (
        {"state": "done", "cost": 0.07},
        {"state": "done"},
        {"state": "unconfirmed"},
        {"state": "failed", "error": "The account has not enough credits. Nothing was charged."},
        {"state": "queued", "kind": ""},
    ):
        Generation.objects.filter(pk=make_generation(job).pk).update(created_at=AT, **fields)
    migrate()
    rows = Cost.objects.filter(kind="generation").order_by("subject")
    assert [(row.state, row.bill) for row in rows] == [
        ("billed", Decimal("0.07")),
        ("unbilled", None),
        ("unconfirmed", None),
        ("reserved", None),
    ]
    assert {row.at for row in rows} == {AT}
    first = Generation.objects.earliest("pk")
    assert first.latest_cost == Cost.objects.get(kind="generation", subject=first.pk)
