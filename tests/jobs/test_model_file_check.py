"""POST /jobs/<pk>/check-file/, and the worker's reading of the file."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync import model_file
from finetune_portal.worker.tasks import TASKS
from tests.engine.calling import reached, started
from tests.people import make_job, signed_in
from tests.running import RunningEngine
from tests.worker.driving import content_of, fresh, point_at, point_nowhere, text_of


@pytest.fixture(scope="module")
def trained(engine: RunningEngine) -> dict[str, Any]:
    return reached(engine, started(engine, "check-file"), "AVAILABLE")


@pytest.fixture
def job(alice: User, engine: RunningEngine, trained: dict[str, Any], settings: Any) -> Job:
    point_at(settings, engine)
    return make_job(alice, "ready", request_id=trained["id"], cloud_storage_url=trained["cloud_storage_url"])


def url(job: Job) -> str:
    return f"/jobs/{job.pk}/check-file/"


def test_the_sum_is_that_of_the_file_that_people_get(alice: User, bob: User, job: Job) -> None:
    assert signed_in(bob).post(url(job)).status_code == 302
    assert "Checking…" in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert model_file.check_next in {task.step for task in TASKS}
    assert model_file.check_next()
    link = signed_in(alice).get(f"/jobs/{job.pk}/download/").headers["Location"]
    content = content_of(signed_in(alice).get(link))
    checked = fresh(job)
    assert (checked.file_sha256, checked.file_size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert checked.file_sha256 in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert AuditEvent.objects.filter(action="job.check-file", actor=bob).count() == 1
    assert not model_file.check_next()


def test_a_file_that_cannot_be_read_is_retried_then_reported(alice: User, job: Job, settings: Any) -> None:
    signed_in(alice).post(url(job))
    point_nowhere(settings)
    for _ in range(model_file.MAX_ATTEMPTS):
        Job.objects.update(due_at=now() - timedelta(seconds=1))
        assert model_file.check_next()
    Job.objects.update(due_at=now() - timedelta(seconds=1))
    assert not model_file.check_next()
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "The file could not be read. The provider cannot be reached." in html
    assert "Check file" in html


def test_who_and_what_is_refused(alice: User, charlie: User, job: Job) -> None:
    assert signed_in(charlie).post(url(job)).status_code == 403
    untrained = make_job(alice, "training", request_id="2")
    html = signed_in(alice).post(url(untrained), follow=True).content.decode()
    assert "The model file is not there yet." in html
    assert not Job.objects.exclude(file_check_requested_at=None).exists()
