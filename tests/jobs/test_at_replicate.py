"""A job at Replicate, whose registration is one line: what differs from fal (tests/jobs/test_at_fal.py)."""

from __future__ import annotations

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Transfer
from finetune_portal.datasets.transfer import transfer_next
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.sync import follow
from tests.people import form_data, make_dataset, signed_in
from tests.replicate.server import FakeReplicate
from tests.waiting import until
from tests.worker.driving import fresh, send_now

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("trainer", ["prunaai/p-image-edit-trainer", "replicate/fast-flux-kontext-trainer"])
def test_a_job_goes_from_the_form_to_the_weights(
    at_replicate: Connection, replicate: FakeReplicate, alice: User, trainer: str
) -> None:
    data = form_data(make_dataset(alice, stored=False), steps="500", learning_rate="0.0001")
    page = signed_in(alice).post("/jobs/new/", {**data, "connection": at_replicate.pk, "trainer": trainer})
    assert page.status_code == 302, page.content.decode()
    Transfer.objects.update(due_at=now())
    assert transfer_next()
    job = send_now(Job.objects.get())
    assert job.state == State.REQUESTED, job.error

    def followed() -> Job | None:
        Training.objects.update(due_at=now())
        follow.follow_next()
        return current if (current := fresh(job)).state == State.READY else None

    assert until(followed).cloud_storage_url
    (paid,) = replicate.jobs
    assert ("learning_rate" in paid.input) == trainer.startswith("prunaai"), "the other has one of its own"
