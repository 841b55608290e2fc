"""Delete the model of a job: what goes, what stays and is said, and that nothing brings it back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.signals import post_init
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.costs.models import Cost
from finetune_portal.deletion.models import Deletion
from finetune_portal.deletion.services import delete_model
from finetune_portal.gateway import access
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync import details
from finetune_portal.jobs.timeline import Source
from finetune_portal.playground.models import Generation, Input
from finetune_portal.registry import copy_requests, copying, overview
from finetune_portal.registry.models import Model, ModelFile
from tests.deletion.test_deletion import DATA, delete, files, finish
from tests.gateway.api_client import DETAILS, DOWNLOAD, call, error_of, token_of
from tests.people import make_dataset, make_generation, make_job, make_samples, signed_in
from tests.playground.conftest import content, run_task
from tests.provider import ScriptedProvider
from tests.registry.finished import copied, finished
from tests.worker.driving import follow_now, fresh, point_at

SENTENCE = "This model was deleted."


@pytest.fixture
def provider(settings: Any) -> Iterator[ScriptedProvider]:
    settings.LOCAL_ENGINE = False
    with ScriptedProvider() as running:
        point_at(settings, running)
        yield running


@pytest.fixture
def job(alice: User, provider: ScriptedProvider) -> Job:
    """A finished job with all that a model has."""
    job = copied(finished(alice, provider, DATA, dataset=make_dataset(alice), sent_at=now(), slug="hats-1"))
    make_generation(job)
    make_samples(job, "control", "300")
    return job


def page_of(user: User, job: Job) -> str:
    return signed_in(user).get(f"/jobs/{job.pk}/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_the_model_goes_and_the_job_stays_with_its_history(alice: User, job: Job, bob: User) -> None:
    AuditEvent.objects.create(action="model.run", thing=f"job {job.pk}", detail={"prompt": "as Zebrafink"})
    stored = files()
    assert "Delete model" in page_of(alice, job)
    assert "Delete model" not in page_of(bob, job)
    status, messages = delete(alice, f"/jobs/{job.pk}/delete-model/")
    assert (status, "The model of “Day to night” was deleted." in messages) == (200, True)
    finish()
    for model in (Model, ModelFile, Generation, Input, Deletion):
        assert not model._default_manager.exists(), model
    gone = set(stored) - set(files())
    assert {name.split("/")[0] for name in gone} == {"models", "playground", "samples"}
    assert not [name for name in files() if name.startswith(("models", "samples", "playground/results"))]
    page = page_of(bob, job)
    assert "<bdi>Alice</bdi> deleted this model on" in page
    assert "Segmind keeps the dataset, the job and its model" in page, "where it can still be had"
    assert "The model was deleted" in page
    assert "Copied the model file home" in page, "the history stays"
    assert "Delete model" not in page_of(alice, job)
    assert "Model deleted" in signed_in(bob).get("/").content.decode()
    events = AuditEvent.objects.filter(thing=f"job {job.pk}").order_by("pk")
    counts = {"name": "Day to night", "models": 1, "runs": 1}
    assert [(each.action, each.detail) for each in events][-2:] == [
        ("model.run", {}),
        ("job.delete-model", counts),
    ]


@pytest.mark.django_db(transaction=True)
def test_it_does_not_come_back_by_itself(
    alice: User, dana: User, job: Job, provider: ScriptedProvider
) -> None:
    delete(alice, f"/jobs/{job.pk}/delete-model/")
    assert copy_requests.request_all(actor=dana) == 0
    assert SENTENCE in delete(alice, f"/jobs/{job.pk}/copy/")[1]
    follow_now()
    Job.objects.update(updated_at=now() - timedelta(days=1))
    provider.jobs.clear()  # nor is it called missing once it is deleted there, too
    follow_now()
    assert not copying.copy_next()
    assert not ModelFile.objects.exists()
    assert fresh(job).error == ""
    assert (overview.overview().wanted, overview.overview().copyable) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_a_copy_that_is_on_its_way_ends(alice: User, provider: ScriptedProvider) -> None:
    job = finished(alice, provider, DATA, sent_at=now())
    copy_requests.create_rows()
    assert ModelFile.objects.exists()
    delete(alice, f"/jobs/{job.pk}/delete-model/")
    assert not copying.copy_next()
    assert fresh(job).file_check_requested_at is None
    finish()
    assert [name for name in files() if name.startswith("models")] == []


@pytest.mark.django_db(transaction=True)
def test_one_that_is_deleted_as_the_worker_begins_to_copy_it_does_not_come_back(
    alice: User, provider: ScriptedProvider
) -> None:
    job = finished(alice, provider, DATA, sent_at=now())

    def delete_meanwhile(instance: Job, **_: Any) -> None:
        post_init.disconnect(delete_meanwhile, sender=Job)
        delete_model(fresh(job), actor=alice)

    post_init.connect(delete_meanwhile, sender=Job)  # as the worker reads which jobs wait for a copy
    try:
        copy_requests.create_rows()
    finally:
        assert not post_init.disconnect(delete_meanwhile, sender=Job)
    assert fresh(job).model_deleted_at
    assert not Model.objects.exists()
    assert not copying.copy_next()


def test_whatever_asks_for_it_is_refused_in_one_sentence(
    alice: User, job: Job, provider: ScriptedProvider
) -> None:
    token = token_of(alice, "read", "download", "run")
    details = call(token, "GET", DETAILS, {"request_id": str(job.form_key)}).json()["finetune"]
    assert details["cloud_storage_url"] == job.cloud_storage_url
    delete(alice, f"/jobs/{job.pk}/delete-model/")
    assert SENTENCE in signed_in(alice).get(f"/jobs/{job.pk}/download/", follow=True).content.decode()
    links = signed_in(alice).post("/jobs/links/", {"job": job.pk})
    assert SENTENCE in links.content.decode()
    download = call(token, "GET", DOWNLOAD, {"cloud_storage_url": job.cloud_storage_url})
    assert SENTENCE in error_of(download)
    details = call(token, "GET", DETAILS, {"request_id": str(job.form_key)}).json()["finetune"]
    assert details["cloud_storage_url"] is None
    page = page_of(alice, job)
    for absent in ("Download .safetensors", "Use the model", "pip install", "Run it by the API", "Try it"):
        assert absent not in page, absent
    refused = call(
        token, "POST", "/v1/hats-1", {"prompt": "night", "input_image": "data:image/png;base64,AA"}
    )
    assert refused.status_code == 409
    assert SENTENCE in error_of(refused)
    assert provider.runs == []


@pytest.mark.django_db(transaction=True)
def test_a_run_that_was_queued_in_the_same_moment_is_not_sent(
    alice: User, job: Job, provider: ScriptedProvider
) -> None:
    delete(alice, f"/jobs/{job.pk}/delete-model/")
    run = make_generation(job)
    fields = {"person": alice, "connection": run.connection, "currency": "credits"}
    cost = Cost.objects.create(kind="generation", subject=run.pk, job=job.pk, **fields)
    Generation.objects.update(
        state="queued", latest_cost=cost, hosted_url=f"{provider.url}/a.png", hosted_at=now()
    )
    run_task()
    assert provider.runs == []
    run.refresh_from_db()
    assert (run.state, SENTENCE in run.error) == ("failed", True)
    cost.refresh_from_db()
    assert cost.state == Cost.State.RELEASED


def test_not_while_it_is_run_or_trained_nor_twice(alice: User, job: Job, dana: User) -> None:
    Generation.objects.update(state="running")
    path = f"/jobs/{job.pk}/delete-model/"
    assert "A run of “Day to night” has not ended" in delete(alice, path)[1]
    trains = make_job(alice, "training")
    assert "has not ended" in delete(alice, f"/jobs/{trains.pk}/delete-model/")[1]
    assert "has no model" in delete(alice, f"/jobs/{make_job(alice, 'failed').pk}/delete-model/")[1]
    Generation.objects.update(state="done")
    assert "was deleted." in delete(dana, path)[1]
    assert "has no model to delete, or it was deleted before" in delete(alice, path)[1]
    assert AuditEvent.objects.filter(action="job.delete-model").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_provider_that_can_delete_is_asked_to(alice: User, job: Job, provider: ScriptedProvider) -> None:
    provider.can = ("delete",)
    connections.built_in()
    Connection.objects.update(capabilities=["delete"])
    Job.objects.update(is_public=True)
    assert "usable by others" not in page_of(alice, job)
    delete(alice, f"/jobs/{job.pk}/delete-model/")
    assert not fresh(job).is_public, "it goes there, too"
    provider.jobs[-1].public = True
    details.refresh(fresh(job), source=Source.POLL)
    assert not fresh(job).is_public, "until then its provider still says so"
    (deletion,) = Deletion.objects.all()
    assert ["job", job.request_id] in [each[1:] for each in deletion.at_provider]
    page = page_of(alice, job)
    assert "Segmind keeps" not in page
    assert not fresh(job).can_change_visibility


def test_the_job_can_still_be_deleted(alice: User, job: Job) -> None:
    delete(alice, f"/jobs/{job.pk}/delete-model/")
    assert "was deleted" in delete(alice, f"/jobs/{job.pk}/delete/")[1]
    assert not Job.objects.exists()


def test_a_public_model_is_said_to_stay_usable_where_the_provider_keeps_it(
    alice: User, job: Job, provider: ScriptedProvider
) -> None:
    usable = "A public model stays usable by others until it is made private."
    assert usable not in page_of(alice, job)
    Job.objects.update(is_public=True)
    assert page_of(alice, job).count(f"{usable} Make it private first.") == 2, "in both questions"
    delete(alice, f"/jobs/{job.pk}/delete-model/")
    assert fresh(job).is_public
    page = page_of(alice, job)
    assert usable in page.partition("deleted this model on")[2].partition("</p>")[0], "and in the banner"
    assert fresh(job).can_change_visibility


def test_a_sample_is_refused_before_its_file_is_deleted(alice: User, job: Job) -> None:
    path, small = f"/jobs/{job.pk}/samples/300/", f"/jobs/{job.pk}/samples/300-small.webp"
    assert content(signed_in(alice).get(path))
    assert signed_in(alice).get(small).status_code == 202, "it is made now"
    Job.objects.update(model_deleted_at=now(), model_deleted_by=alice)
    assert [signed_in(alice).get(url).status_code for url in (path, small)] == [404, 404]


def test_another_job_with_the_same_slug_and_file_is_found(alice: User, job: Job) -> None:
    token = token_of(alice, "read", "download", "run")
    newer = make_job(alice, "ready", slug=job.slug, cloud_storage_url=job.cloud_storage_url)
    assert access.job_to_run(alice, job.slug) == newer
    delete(alice, f"/jobs/{newer.pk}/delete-model/")
    assert access.job_to_run(alice, job.slug) == job
    assert access.job_with_model(alice, job.cloud_storage_url) == job
    assert call(token, "GET", DOWNLOAD, {"cloud_storage_url": job.cloud_storage_url}).status_code == 200
