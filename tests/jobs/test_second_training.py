"""A lost submit that turns up after a person settled its job, at a provider without a list."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from tests.fal.server import FakeFal
from tests.jobs.test_at_fal import connection as connection
from tests.jobs.test_at_fal import follow_connection, followed_until, lost
from tests.jobs.test_at_fal import ready_to_send as ready_to_send
from tests.people import signed_in
from tests.worker.driving import fresh, send_now, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def in_doubt(ready_to_send: Job, fal: FakeFal) -> Job:
    """The provider has it, and does not show it while it runs."""
    job = lost(ready_to_send, fal, loses_answer=True)
    fal.loses_answer = False
    follow_connection()
    job.submit_attempts.update(started_at=now() - timedelta(minutes=20))
    Job.objects.update(due_at=now())
    follow_connection()
    job = fresh(job)
    assert job.state == State.NEEDS_DECISION
    return job


@pytest.fixture
def admin(dana: User) -> Client:
    return signed_in(dana)


def decide(job: Job, admin: Client, decision: str) -> Job:
    assert admin.post(f"/jobs/{job.pk}/decide/", {"decision": decision}).status_code == 302
    return fresh(job)


def look_again() -> None:
    """As ten minutes after the last look."""
    Connection.objects.update(checked_at=now() - timedelta(minutes=10))
    follow_connection()


def test_it_is_a_job_of_its_own_when_the_other_one_was_sent(
    in_doubt: Job, fal: FakeFal, admin: Client
) -> None:
    first = send_now(decide(in_doubt, admin, "resend"))
    lost_one, sent_again = fal.jobs
    assert first.request_id == sent_again.id
    fal.finish(lost_one)
    look_again()
    second = Job.objects.get(request_id=lost_one.id)
    assert second.owner == first.owner
    assert f"second training of this job: job {second.pk}" in text_of(admin, f"/jobs/{first.pk}/")
    assert "it may be paid for twice" in text_of(admin, f"/jobs/{second.pk}/")
    assert followed_until(second, State.READY).cloud_storage_url
    assert fresh(first).request_id == sent_again.id
    look_again()
    assert Job.objects.count() == 2


def test_it_is_the_job_itself_while_the_other_one_is_not_sent_yet(
    in_doubt: Job, fal: FakeFal, admin: Client
) -> None:
    decide(in_doubt, admin, "resend")
    fal.finish(fal.jobs[0])
    look_again()
    assert fresh(in_doubt).request_id == fal.jobs[0].id
    send_now(in_doubt)
    assert len(fal.sent("submit")) == 1


def test_a_closed_job_is_taken_up_again(in_doubt: Job, fal: FakeFal, admin: Client) -> None:
    assert decide(in_doubt, admin, "close").state == State.CLOSED
    fal.finish(fal.jobs[0])
    look_again()
    assert followed_until(in_doubt, State.READY).request_id == fal.jobs[0].id


def test_both_of_two_lost_submits_are_found(in_doubt: Job, fal: FakeFal, admin: Client) -> None:
    lost(decide(in_doubt, admin, "resend"), fal, loses_answer=True)
    for paid in fal.jobs:
        fal.finish(paid)
    follow_connection()
    look_again()
    assert set(Job.objects.values_list("request_id", flat=True)) == {paid.id for paid in fal.jobs}


def test_it_is_looked_for_every_ten_minutes_for_three_days(
    in_doubt: Job, fal: FakeFal, admin: Client
) -> None:
    decide(in_doubt, admin, "close")
    fal.requests.clear()
    for _ in range(5):
        follow_connection()
    assert len(fal.sent("history")) <= 1
    look_again()
    looks = len(fal.sent("history"))
    assert looks
    in_doubt.submit_attempts.update(started_at=now() - timedelta(days=4))
    look_again()
    assert len(fal.sent("history")) == looks
