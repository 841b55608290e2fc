"""The same for Replicate, which signs with a secret of the account (tests/webhooks/test_from_fal.py)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Transfer
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.providers.replicate import webhooks
from finetune_portal.webhooks import signed
from finetune_portal.webhooks.models import Delivery
from tests.jobs.test_at_fal import followed, transferred
from tests.people import form_data, make_dataset, signed_in
from tests.replicate.calls import PRUNA
from tests.replicate.server import FakeReplicate
from tests.replicate.webhooks import message
from tests.waiting import until
from tests.webhooks.conftest import knock
from tests.worker.driving import fresh, send_now

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def public(settings: Any, replicate: FakeReplicate) -> Iterator[None]:
    settings.PORTAL_URL = "https://portal.example.com"
    replicate.webhook_times = 0
    webhooks.SECRETS.clear()
    yield
    webhooks.SECRETS.clear()


@pytest.fixture
def lost(at_replicate: Connection, replicate: FakeReplicate, alice: User) -> Job:
    """A job whose answer never came, and which has ended meanwhile."""
    data = form_data(make_dataset(alice, stored=False), steps="500", learning_rate="0.0001")
    signed_in(alice).post("/jobs/new/", {**data, "connection": at_replicate.pk, "trainer": PRUNA})
    job = Job.objects.get()
    transferred(job)
    replicate.loses_answer = True
    job = send_now(job)
    assert job.state == State.UNCONFIRMED
    replicate.finish(replicate.jobs[0])
    return job


def delivered(replicate: FakeReplicate) -> Delivery:
    """The message about the only job, after the worker looked at it."""
    (paid,) = replicate.jobs
    headers, body = message(replicate, paid)
    del headers["Content-Type"]
    assert knock(urlsplit(paid.webhook).path, body, headers) == 200
    assert signed.process_next()
    return Delivery.objects.latest("pk")


def test_a_job_whose_answer_was_lost_is_found_by_its_message(lost: Job, replicate: FakeReplicate) -> None:
    delivery = delivered(replicate)
    assert (delivery.result, delivery.event) == ("signed", "succeeded")
    assert fresh(lost).request_id == replicate.jobs[0].id
    assert until(lambda: followed(lost).state == State.READY)
    assert len(replicate.jobs) == 1
    assert Transfer.objects.count() == 1


def test_a_forged_message_changes_nothing(lost: Job, replicate: FakeReplicate) -> None:
    replicate.webhook_is_forged = True
    assert delivered(replicate).result == "unsigned"
    assert fresh(lost).state == State.UNCONFIRMED
