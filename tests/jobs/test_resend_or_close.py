"""POST /jobs/<pk>/decide/"""

from __future__ import annotations

from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections.models import Connection, Kind
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.worker import tasks
from tests.people import make_job, signed_in
from tests.running import RunningEngine
from tests.worker.driving import fresh, jobs_at_provider, point_at, point_nowhere, text_of

RESEND, CLOSE = {"decision": "resend"}, {"decision": "close"}


@pytest.fixture
def job(alice: User, dataset: Dataset, engine: RunningEngine, settings: Any) -> Job:
    """Its one answer was lost, and the provider's list does not have it."""
    point_at(settings, engine)
    job = make_job(alice, "needs_decision", dataset=dataset, error="The answer was lost.")
    Attempt.objects.create(job=job, outcome=Attempt.Outcome.UNKNOWN)
    return job


def url(job: Job) -> str:
    return f"/jobs/{job.pk}/decide/"


def test_send_again_sends_it_once_more(dana: User, job: Job, engine: RunningEngine) -> None:
    signed_in(dana).post(url(job), RESEND)
    assert (fresh(job).state, fresh(job).error) == ("queued", "")
    assert AuditEvent.objects.get().action == "job.resend"
    event = job.events.get()
    assert (event.text, event.actor) == ("Sent again by decision", dana), "the local engine is free"

    assert tasks.submit_jobs()
    assert fresh(job).state == "requested"
    assert len(jobs_at_provider(engine, job)) == 1
    assert [attempt.outcome for attempt in job.submit_attempts.order_by("pk")] == ["unknown", "accepted"]


def test_close_ends_it_unsent(dana: User, job: Job, engine: RunningEngine) -> None:
    signed_in(dana).post(url(job), CLOSE)
    assert fresh(job).state == "closed"
    assert AuditEvent.objects.get().action == "job.close"
    assert not tasks.submit_jobs()
    assert jobs_at_provider(engine, job) == []


def test_a_second_click_does_nothing(dana: User, job: Job) -> None:
    client = signed_in(dana)
    client.post(url(job), CLOSE)
    response = client.post(url(job), RESEND, follow=True)
    assert "nothing left to decide" in response.content.decode()
    assert fresh(job).state == "closed"
    assert AuditEvent.objects.count() == 1


def test_a_dead_provider_is_the_workers_matter(dana: User, job: Job, settings: Any) -> None:
    """Nothing is lost: the job waits in the queue until the provider is back."""
    point_nowhere(settings)
    signed_in(dana).post(url(job), RESEND)
    assert tasks.submit_jobs()
    assert fresh(job).state == "queued"
    assert job.submit_attempts.last().outcome == "not_sent"


def test_the_risk_of_a_paid_one_is_said(dana: User, job: Job) -> None:
    Connection.objects.update(kind=Kind.OWN)
    page = text_of(signed_in(dana), f"/jobs/{job.pk}/")
    assert "you pay twice" in page
    assert "A job sent again may be paid for twice." in page
    signed_in(dana).post(url(job), RESEND)
    assert job.events.get().text == "Sent again by decision; it may be paid for twice"


def test_only_admins_are_asked(alice: User, dana: User, job: Job) -> None:
    page = f"/jobs/{job.pk}/"
    assert "the job is trained twice" in text_of(signed_in(dana), page)
    assert url(job) not in text_of(signed_in(alice), page)


@pytest.mark.parametrize("name", ["alice", "bob", "charlie"])
def test_only_admins_decide(name: str, job: Job, request: pytest.FixtureRequest) -> None:
    response = signed_in(request.getfixturevalue(name)).post(url(job), RESEND)
    assert response.status_code == 403
    assert "Only admins can do this" in response.content.decode()
    assert fresh(job).state == "needs_decision"
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("data", [{}, {"decision": "maybe"}])
def test_no_answer_is_no_decision(dana: User, job: Job, data: dict[str, str]) -> None:
    assert signed_in(dana).post(url(job), data).status_code == 400
    assert fresh(job).state == "needs_decision"
