"""What a provider says, however odd: no task stops over it, and no other job or provider waits for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import capabilities
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Attempt, Job, Training
from finetune_portal.jobs.sync import follow
from finetune_portal.jobs.sync import lost as lost_jobs
from finetune_portal.providers.fal import webhooks
from finetune_portal.webhooks import signed
from finetune_portal.webhooks.models import Delivery
from tests.fal.calls import KLEIN
from tests.fal.server import FakeFal
from tests.fal.webhooks import message
from tests.jobs.test_at_fal import follow_connection, lost, start, transferred
from tests.people import make_job, signed_in
from tests.provider import breaks, says
from tests.waiting import until
from tests.webhooks.conftest import knock
from tests.worker.driving import fresh, send_now, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(at_fal: Connection) -> Connection:
    return at_fal


@pytest.fixture
def ready_to_send(alice: User, connection: Connection) -> Job:
    job = start(signed_in(alice), connection, alice)
    transferred(job)
    return job


def priced(currency: Any) -> Any:
    return says(200, {"prices": [{"endpoint_id": KLEIN, "unit_price": 0.0046, "currency": currency}]})


@pytest.mark.parametrize("currency", ["US dollars", "usd" * 1000, "U$D", "USD 1", "<b>"])
def test_a_price_in_an_odd_currency_is_none(
    ready_to_send: Job, fal: FakeFal, connection: Connection, alice: User, currency: str
) -> None:
    fal.script("pricing", *[priced(currency)] * 3)
    cache.clear()  # of the price when the job was started
    query = f"/jobs/new/price/?connection={connection.pk}&trainer={KLEIN}&steps=500"
    assert "by the price" not in text_of(signed_in(alice), query)
    job = send_now(ready_to_send)
    assert (job.state, job.estimated_cost) == (State.REQUESTED, None)


def test_a_lost_job_does_not_take_the_id_of_another(ready_to_send: Job, fal: FakeFal, alice: User) -> None:
    """Nor does the look at this provider end there."""
    job = lost(ready_to_send, fal, loses_answer=True)
    (paid,) = fal.jobs
    other = make_job(alice, State.TRAINING, request_id=paid.id)
    fal.finish(paid)
    follow_connection()
    assert (fresh(job).state, fresh(job).request_id) == (State.UNCONFIRMED, None)
    assert fresh(other).request_id == paid.id
    assert Connection.objects.get(pk=job.connection_id).lease_expires_at is None, "the look came to its end"


def test_a_webhook_that_names_the_job_of_another_provider_ends(
    ready_to_send: Job, fal: FakeFal, alice: User, settings: Any
) -> None:
    settings.PORTAL_URL = "https://portal.example.com"
    webhooks.KEYS.clear()
    fal.webhook_times = 0
    job = lost(ready_to_send, fal, loses_answer=True, history_hole=True)
    (paid,) = fal.jobs
    other = make_job(alice, State.TRAINING, request_id=paid.id)
    fal.finish(paid)
    headers, body = message(fal, paid)
    del headers["Content-Type"]
    assert knock(urlsplit(paid.webhook).path, body, headers) == 200
    assert signed.process_next()
    assert Delivery.objects.get().processed_at
    assert fresh(other).request_id == paid.id
    assert fresh(job).state == State.UNCONFIRMED


def test_lost_jobs_hold_the_polls_of_others_up_for_a_limited_time(
    ready_to_send: Job, fal: FakeFal, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its turn after some polls."""
    monkeypatch.setattr(lost_jobs, "LOOK_SECONDS", 0)
    job = lost(ready_to_send, fal, loses_answer=True, history_hole=True)
    fields = {"connection": job.connection, "trainer": KLEIN}
    for number in range(3):
        other = make_job(alice, State.UNCONFIRMED, **fields, due_at=now() + timedelta(hours=1))
        address = f"https://example.com/{number}.zip"
        sent = {"connection": job.connection, "outcome": "unknown", "dataset_address": address}
        Attempt.objects.create(job=other, nonce=f"{other.nonce}-1", **sent)
    asked = len(fal.sent("history"))
    follow_connection()
    assert len(fal.sent("history")) == asked + 1
    fal.jobs[0].hidden = 0
    fal.finish(fal.jobs[0])

    def is_found() -> bool:
        follow_connection()
        return fresh(job).state == State.REQUESTED

    assert until(is_found)


def test_a_catalogue_without_an_end_is_kept_in_part(connection: Connection, fal: FakeFal) -> None:
    rows = [
        {
            "endpoint_id": f"{'x' * 150}/{number}",
            "metadata": {"display_name": "n" * 4000, "license_type": "l" * 4000, "status": "active"},
        }
        for number in range(2000)
    ]
    rows.append({"endpoint_id": "y" * 3000, "metadata": {}})
    fal.script("models", says(200, {"models": rows, "has_more": False}))
    Connection.objects.filter(pk=connection.pk).update(capabilities_due_at=now())
    assert capabilities.refresh_next()
    kept = Connection.objects.get(pk=connection.pk).trainers
    assert KLEIN in [each["id"] for each in kept]
    assert len(str(kept)) < 64 * 1024


def test_while_no_price_can_be_had_it_is_asked_for_once(
    connection: Connection, fal: FakeFal, alice: User
) -> None:
    fal.script("pricing", *[breaks(taken=False)] * 20)
    query = f"/jobs/new/price/?connection={connection.pk}&trainer={KLEIN}&steps=100;200;300;400;500"
    for _ in range(2):
        text_of(signed_in(alice), query)
    assert len(fal.sent("pricing")) == 1


def test_the_jobs_of_one_account_do_not_wait_for_those_of_another(
    connection: Connection, fal: FakeFal, alice: User, dana: User
) -> None:
    """Those of the first may be due again before all were asked for."""
    other = connections.add(name="Another team", provider="fal", key=fal.key, actor=dana)
    waits = {connection: 1, other: 60}  # seconds
    for account, seconds in waits.items():
        addresses = {"status": f"{fal.queue_url}/x/y/requests/1/status"}
        fields = {"request_id": str(seconds), "provider_addresses": addresses}
        job = make_job(alice, State.TRAINING, connection=account, trainer=KLEIN, **fields)
        Training.objects.create(job=job, due_at=now() - timedelta(seconds=seconds))
    assert follow.follow_next()
    assert Training.objects.get(job__connection=other).due_at > now() - timedelta(seconds=30)
