"""A training is cancelled where the provider can: one wish, carried out by the worker."""

from __future__ import annotations

from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections import services as connections
from finetune_portal.jobs import choices
from finetune_portal.jobs.display import status_text
from finetune_portal.jobs.models import Job
from tests.engine.calling import reached, started
from tests.jobs.reported_progress import PROGRESS, ended, look, page_of
from tests.jobs.reported_progress import job as job
from tests.jobs.reported_progress import provider as provider
from tests.people import make_job, signed_in
from tests.provider import ScriptedProvider, breaks, says
from tests.running import RunningEngine
from tests.worker.driving import fresh, point_at, text_of


def url(job: Job) -> str:
    return f"/jobs/{job.pk}/cancel/"


def test_a_training_is_cancelled_at_the_engine(alice: User, engine: RunningEngine, settings: Any) -> None:
    """The real engine, over HTTP: from the button to the end."""
    point_at(settings, engine)
    connections.built_in()
    key = started(engine, "Hats slow", advance_parameters={"steps": 20_000, "learning_rate": 0.0001})
    reached(engine, key, "TRAINING_INITIATED")
    job = make_job(alice, "training", request_id=key)
    look()
    client = signed_in(alice)
    assert "Cancel job" in page_of(alice, job)
    assert client.post(url(job)).headers["Location"] == f"/jobs/{job.pk}/"
    page = page_of(alice, job)
    assert "Cancelling…" in page
    assert "Cancel job" not in page
    look()
    reached(engine, key, "FAILED")
    look()
    over = fresh(job)
    assert (over.state, over.group, status_text(over)) == ("failed", "failed", "Cancelled")
    html = text_of(client, f"/jobs/{job.pk}/")
    assert "What was trained until then is lost." in html
    assert "banner error" not in html
    assert 'data-tone="calm"' in html
    texts = list(job.events.values_list("source", "actor", "text"))
    assert texts == [("person", alice.pk, "Requested to cancel the job"), ("poll", None, "Cancelled")]
    assert AuditEvent.objects.filter(action="job.cancel", actor=alice).count() == 1


def test_asked_twice_it_is_one_wish(alice: User, provider: ScriptedProvider, job: Job) -> None:
    look()
    for _ in range(2):
        signed_in(alice).post(url(job))
    assert AuditEvent.objects.filter(action="job.cancel").count() == 1
    assert job.events.count() == 1


def test_a_wish_survives_a_lost_answer_and_a_dead_worker(
    alice: User, provider: ScriptedProvider, job: Job
) -> None:
    look()
    signed_in(alice).post(url(job))
    provider.script("cancel", breaks(taken=False), says(500))
    look()
    assert len(provider.sent("cancel")) == 2
    assert provider.jobs[0].status == "TRAINING_INITIATED"
    look(2)
    assert status_text(fresh(job)) == "Cancelled"


def test_a_late_cancel_request_says_so(alice: User, provider: ScriptedProvider, job: Job) -> None:
    look()
    signed_in(alice).post(url(job))
    provider.jobs[0].status = "AVAILABLE"
    look()
    assert fresh(job).state == "ready"
    assert fresh(job).cancel_requested_at is None
    assert "Too late to cancel: the training had ended" in page_of(alice, job)


@pytest.mark.parametrize(
    "state", sorted({*choices.UNSENT, *choices.DOUBTFUL, *choices.DOWNLOADABLE, *choices.ENDED})
)
def test_only_what_trains_can_be_cancelled(
    alice: User, provider: ScriptedProvider, job: Job, state: str
) -> None:
    provider.progress = PROGRESS | {"samples": []}  # each sample would be decoded
    look()
    Job.objects.update(state=state)
    assert "Cancel job" not in page_of(alice, job)
    assert "There is nothing to cancel" in signed_in(alice).post(url(job), follow=True).content.decode()
    assert fresh(job).cancel_requested_at is None


def test_only_where_the_provider_can(alice: User, provider: ScriptedProvider, job: Job) -> None:
    provider.can = ("progress",)
    look()
    assert "Cancel job" not in page_of(alice, job)
    signed_in(alice).post(url(job))
    assert fresh(job).cancel_requested_at is None


def test_who_and_what_is_refused(
    bob: User, charlie: User, dana: User, alice: User, provider: ScriptedProvider, job: Job
) -> None:
    look()
    for stranger in (bob, charlie):
        assert signed_in(stranger).post(url(job)).status_code == 403
        assert "Cancel job" not in page_of(stranger, job)
    assert not AuditEvent.objects.exists()
    assert signed_in(dana).post(url(job)).status_code == 302
    assert fresh(job).cancel_requested_at


def test_a_failure_that_nobody_asked_for_stays_one(alice: User, provider: ScriptedProvider, job: Job) -> None:
    look()
    signed_in(alice).post(url(job))
    ended(provider, job, "FAILED")
    page = page_of(alice, job)
    assert "It broke." in page
    assert status_text(fresh(job)) == "Failed"
