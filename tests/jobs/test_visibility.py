"""POST /jobs/<pk>/public/"""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.jobs.models import Job
from tests.engine.calling import call, details, reached, started
from tests.people import HTMX, make_job, signed_in
from tests.running import RunningEngine
from tests.worker.driving import fresh, point_at, point_nowhere

PUBLIC = {"public": "on"}


@pytest.fixture(scope="module")
def trained(engine: RunningEngine) -> dict[str, Any]:
    return reached(engine, started(engine, "visibility"), "AVAILABLE")


@pytest.fixture
def job(alice: User, engine: RunningEngine, trained: dict[str, Any], settings: Any) -> Job:
    """A private model of alice's."""
    point_at(settings, engine)
    form = {"request_id": (None, trained["id"]), "segmind_public": (None, "False")}
    assert call(engine, "PUT", "/finetune/request/access-update", files=form).ok
    return make_job(alice, "ready", request_id=trained["id"])


def url(job: Job) -> str:
    return f"/jobs/{job.pk}/public/"


def is_public(engine: RunningEngine, job: Job) -> bool:
    """What the portal says; the engine must say the same."""
    at_provider = bool(details(engine, str(job.request_id))["public_model"])
    assert fresh(job).is_public is at_provider
    return at_provider


def test_it_publishes_and_takes_back(alice: User, job: Job, engine: RunningEngine) -> None:
    client = signed_in(alice)
    assert client.post(url(job), PUBLIC).headers["Location"] == f"/jobs/{job.pk}/"
    assert is_public(engine, job)
    client.post(url(job))
    assert not is_public(engine, job)
    assert [event.action for event in AuditEvent.objects.order_by("pk")] == ["job.public", "job.private"]
    assert [(event.text, event.actor) for event in job.events.all()] == [
        ("Made public", alice),
        ("Made private", alice),
    ]


def test_htmx_gets_the_switch_and_a_message(alice: User, job: Job) -> None:
    response = signed_in(alice).post(url(job), PUBLIC, headers=HTMX)
    html = response.content.decode()
    assert html.lstrip().startswith(f'<div id="visibility-{job.pk}">')
    assert 'aria-checked="true"' in html
    assert "“Day to night” is public now." in html


def test_an_admin_may_switch_every_job(dana: User, job: Job, engine: RunningEngine) -> None:
    signed_in(dana).post(url(job), PUBLIC)
    assert is_public(engine, job)


def test_it_needs_a_page_of_ours(alice: User, job: Job, engine: RunningEngine) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.post(url(job), PUBLIC).status_code == 403
    assert not is_public(engine, job)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("charlie", "Viewers can look, but cannot train"), ("bob", "Only the person who started this job")],
)
def test_others_may_not(
    name: str, sentence: str, job: Job, engine: RunningEngine, request: pytest.FixtureRequest
) -> None:
    response = signed_in(request.getfixturevalue(name)).post(url(job), PUBLIC)
    assert response.status_code == 403
    assert sentence in response.content.decode()
    assert not is_public(engine, job)
    assert not AuditEvent.objects.exists()


def test_an_unknown_job_is_not_there(alice: User) -> None:
    assert signed_in(alice).post("/jobs/4711/public/", PUBLIC).status_code == 404


def test_a_dead_provider_leaves_all_as_it_was(
    alice: User, job: Job, engine: RunningEngine, settings: Any
) -> None:
    point_nowhere(settings)
    html = signed_in(alice).post(url(job), PUBLIC, headers=HTMX).content.decode()
    assert "Visibility was not changed. The provider cannot be reached." in html
    assert "tries again" not in html
    assert 'aria-checked="false"' in html
    assert not is_public(engine, job)
    assert not AuditEvent.objects.exists()
    assert not job.events.exists()


def test_without_a_model_there_is_nothing_to_publish(alice: User) -> None:
    job = make_job(alice, "queued")
    response = signed_in(alice).post(url(job), PUBLIC, follow=True)
    assert "There is no model yet" in response.content.decode()
    assert not fresh(job).is_public


def test_a_job_that_ended_without_a_model_has_no_visibility(alice: User, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(state="failed", is_public=False)
    html = signed_in(alice).get(f"/jobs/{job.pk}/").content.decode()
    assert "<dt>Visibility</dt>" not in html
    assert "No model" in signed_in(alice).get("/").content.decode()
