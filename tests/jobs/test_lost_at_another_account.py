"""S25: a lost submit whose job a person moved to another account is looked for where it was sent."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Transfer
from finetune_portal.datasets.transfer import transfer_next
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from tests.fal.server import FakeFal
from tests.jobs.test_at_fal import connection as connection
from tests.jobs.test_at_fal import followed_until, lost
from tests.jobs.test_at_fal import ready_to_send as ready_to_send
from tests.jobs.test_second_training import admin as admin
from tests.jobs.test_second_training import decide, look_again
from tests.jobs.test_second_training import in_doubt as in_doubt
from tests.worker.driving import fresh, send_now, text_of

pytestmark = pytest.mark.django_db

STUDIO_KEY = "22222222-3333-4444-5555-666666666666:a-secret-of-the-studio"


@pytest.fixture
def studio(fal: FakeFal, dana: User) -> Connection:
    fal.other_keys = {STUDIO_KEY}
    return services.add(name="Studio", provider="fal", key=STUDIO_KEY, actor=dana)


@pytest.fixture
def moved(in_doubt: Job, studio: Connection, admin: Client) -> Job:
    """Sent again by decision, and then moved to the other account, which has its dataset."""
    decide(in_doubt, admin, "resend")
    answer = admin.post(f"/jobs/{in_doubt.pk}/connection/", {"connection": studio.pk})
    assert answer.status_code == 302
    assert fresh(in_doubt).connection == studio
    Transfer.objects.update(due_at=now())
    while transfer_next():
        pass
    return fresh(in_doubt)


def test_the_first_one_is_found_at_its_account_as_a_second_training(
    moved: Job, fal: FakeFal, connection: Connection, studio: Connection, admin: Client
) -> None:
    first = send_now(moved)
    lost_one, sent_again = fal.jobs
    assert (first.request_id, first.connection) == (sent_again.id, studio)
    fal.finish(lost_one)
    look_again()
    second = Job.objects.get(request_id=lost_one.id)
    assert second.connection == connection
    assert f"second training of this job: job {second.pk}" in text_of(admin, f"/jobs/{first.pk}/")
    assert "it may be paid for twice" in text_of(admin, f"/jobs/{second.pk}/")
    assert followed_until(second, State.READY).cloud_storage_url
    look_again()
    assert fresh(first).request_id == sent_again.id
    assert Job.objects.count() == 2


def test_found_before_it_was_sent_again_it_goes_back_and_nothing_is_paid_twice(
    moved: Job, fal: FakeFal, connection: Connection, admin: Client
) -> None:
    fal.finish(fal.jobs[0])
    look_again()
    job = fresh(moved)
    assert (job.request_id, job.connection) == (fal.jobs[0].id, connection)
    assert "it was accepted by “fal”, which has the job again" in text_of(admin, f"/jobs/{job.pk}/")
    send_now(job)
    assert len(fal.sent("submit")) == 1
    assert followed_until(job, State.READY).cloud_storage_url


def test_when_both_answers_were_lost_each_is_found_at_its_account(
    moved: Job, fal: FakeFal, connection: Connection, studio: Connection
) -> None:
    lost(moved, fal, loses_answer=True)
    for paid in fal.jobs:
        fal.finish(paid)
    look_again()
    look_again()
    rows = set(Job.objects.values_list("request_id", "connection"))
    assert rows == {(fal.jobs[0].id, connection.pk), (fal.jobs[1].id, studio.pk)}
