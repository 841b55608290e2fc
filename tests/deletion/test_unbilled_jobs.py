"""Delete a job before its bill came: the bill is still asked for, by the job's id, and settles its cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.costs.models import Cost
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.playground import bills
from finetune_portal.playground.models import AwaitedBill
from tests import databases
from tests.fal.server import FakeFal
from tests.jobs.test_at_fal import connection as connection
from tests.jobs.test_at_fal import followed_until
from tests.jobs.test_at_fal import sent as sent
from tests.people import signed_in
from tests.provider import says

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_bill_yet(fal: FakeFal, settings: Any) -> None:
    settings.PROVIDER_ADMIN_KEYS = {"fal": fal.admin_key}
    fal.script("billing_events", says(200, {"billing_events": [], "has_more": False}))


def delete(job: Job) -> Cost:
    name = job.name
    assert signed_in(job.owner).post(f"/jobs/{job.pk}/delete/").status_code == 302
    assert not Job.objects.exists()
    assert name not in databases.every_value()
    return Cost.objects.get()


def ask_for_bills() -> Cost:
    AwaitedBill.objects.update(due_at=now())
    while bills.ask_next():
        pass
    return Cost.objects.get()


def test_the_bill_comes_after_the_job_was_deleted(sent: Job, fal: FakeFal) -> None:
    cost = delete(followed_until(sent, State.READY))
    assert (cost.state, cost.bill, cost.title) == ("unbilled", None, "")
    cost = ask_for_bills()
    assert fal.charged > 0
    assert (cost.state, cost.bill, cost.bill_source) == ("billed", fal.charged, "bill")
    assert not AwaitedBill.objects.exists()


def test_a_failed_one_without_a_bill_within_a_day_was_not_charged(sent: Job, fal: FakeFal) -> None:
    fal.fail(fal.jobs[0])
    delete(followed_until(sent, State.FAILED))
    assert ask_for_bills().state == "unbilled", "it may come late"
    AwaitedBill.objects.update(created_at=now() - timedelta(days=2))
    cost = ask_for_bills()
    assert (cost.state, cost.bill, AwaitedBill.objects.count()) == ("billed", 0, 0)
