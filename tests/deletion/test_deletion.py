"""Delete a job or a dataset, by its page: what goes, what stays, who may, and when it must wait."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit import append_only
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.deletion import finishing
from finetune_portal.deletion.models import Deletion
from finetune_portal.engine.storage import keys
from finetune_portal.jobs.live.changes import ChangeWatcher
from finetune_portal.jobs.models import DeletedJob, Job
from finetune_portal.jobs.table import query
from finetune_portal.playground.models import Generation, Input
from finetune_portal.registry.models import Model, ModelFile
from tests.engine.calling import call, reached, started, upload
from tests.people import make_dataset, make_generation, make_job, make_samples, signed_in
from tests.provider import ScriptedProvider, says
from tests.registry.finished import content, copied, finished
from tests.running import RunningEngine
from tests.worker.driving import follow_now, point_at

DATA = content(8, 50_000)


@pytest.fixture
def provider(settings: Any) -> Iterator[ScriptedProvider]:
    settings.LOCAL_ENGINE = False
    with ScriptedProvider() as running:
        point_at(settings, running)
        yield running


def delete(user: User, path: str) -> tuple[int, str]:
    """The status, and the messages of the page that follows."""
    answer = signed_in(user).post(path, follow=True)
    shown = re.findall(r'<div id="messages".*?</div>', answer.content.decode(), re.DOTALL)
    return answer.status_code, " ".join(shown)


def files() -> list[str]:
    folder = Path(django_settings.DATA_DIR)
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "room.lock")
    return sorted(str(path.relative_to(folder)) for path in paths)


def finish() -> None:
    """All that the worker does, whatever pause it would make."""
    for _ in range(3):
        long_ago = now() - timedelta(hours=1)
        Deletion.objects.update(due_at=long_ago, created_at=long_ago)
        finishing.finish_next()


@pytest.mark.django_db(transaction=True)
def test_a_job_goes_with_all_that_was_made_of_it_and_its_dataset_stays(
    alice: User, provider: ScriptedProvider
) -> None:
    dataset = make_dataset(alice)
    before = files()
    job = copied(finished(alice, provider, DATA, dataset=dataset, sent_at=now()))
    make_generation(job)
    make_samples(job, "control", "300")
    assert len(files()) > len(before)
    status, messages = delete(alice, f"/jobs/{job.pk}/delete/")
    assert status == 200
    assert "“Day to night” was deleted. Segmind keeps the dataset, the job and its model" in messages
    for model in (Job, Model, ModelFile, Generation, Input):
        assert not model._default_manager.exists(), model
    finish()
    assert files() == before
    assert not Deletion.objects.exists()
    assert Dataset.objects.get() == dataset


@pytest.mark.django_db(transaction=True)
def test_its_dataset_goes_too_where_it_had_stayed_for_this_job_alone(alice: User) -> None:
    dataset = make_dataset(alice)
    first, second = (make_job(alice, "failed", dataset=dataset) for _ in range(2))
    delete(alice, f"/datasets/{dataset.pk}/delete/")
    delete(alice, f"/jobs/{first.pk}/delete/")
    assert Dataset.objects.exists()
    delete(alice, f"/jobs/{second.pk}/delete/")
    assert not Dataset.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_dataset_goes_with_its_versions_and_their_jobs(alice: User) -> None:
    other = make_job(alice, "ready", dataset=make_dataset(alice, name="kept"))
    dataset = make_dataset(alice)
    version = make_dataset(alice, parent=dataset, version=2)
    make_job(alice, "ready", dataset=version)
    run = make_generation(make_job(alice, "ready", dataset=dataset))
    Generation.objects.filter(pk=run.pk).update(job=other)  # of another model, on a pair of this dataset
    page = signed_in(alice).get(f"/datasets/{dataset.pk}/").content.decode()
    assert "with 1 version made of it, with 2 jobs and what was made by them" in page
    assert "Delete with 2 jobs" in page
    delete(alice, f"/datasets/{dataset.pk}/delete-with-jobs/")
    finish()
    assert list(Job.objects.all()) == [other]
    assert list(Dataset.objects.all()) == [other.dataset]
    assert not Generation.objects.exists()
    assert not Input.objects.exists()
    assert [name for name in files() if "playground" in name] == []


@pytest.mark.django_db(transaction=True)
def test_the_record_keeps_who_did_what_and_no_content(alice: User, dana: User) -> None:
    append_only.install()
    try:
        job = make_job(alice, "failed", name="Zebrafink hats", dataset=make_dataset(alice))
        signed_in(alice).post(f"/jobs/{job.pk}/describe/", {"name": "Zebrafink", "note_text": "", "tags": ""})
        delete(dana, f"/jobs/{job.pk}/delete/")
        events = AuditEvent.objects.filter(thing=f"job {job.pk}").order_by("pk")
        rows = [(event.action, event.actor, event.detail) for event in events]
        counts = {"jobs": 1, "datasets": 0, "models": 0, "runs": 0}
        assert rows == [("job.name", alice, {}), ("job.delete-all", dana, counts)]
        assert "Zebrafink" not in signed_in(dana).get("/audit/").content.decode().split("<main")[1]
    finally:
        append_only.remove()


@pytest.mark.parametrize(
    "state", ["waiting", "queued", "sending", "unconfirmed", "needs_decision", "training"]
)
def test_a_job_that_has_not_ended_stays(alice: User, dataset: Dataset, state: str) -> None:
    job = make_job(alice, state, dataset=dataset)
    page = signed_in(alice).get(f"/jobs/{job.pk}/").content.decode()
    assert "Delete job" not in page
    for path in (f"/jobs/{job.pk}/delete/", f"/datasets/{dataset.pk}/delete-with-jobs/"):
        assert "“Day to night” has not ended" in delete(alice, path)[1]
    assert Job.objects.exists()


def test_a_job_whose_model_is_being_run_stays(alice: User, dataset: Dataset) -> None:
    job = make_job(alice, "ready", dataset=dataset)
    run = make_generation(job)
    Generation.objects.filter(pk=run.pk).update(state="running")
    assert "A run of “Day to night” has not ended" in delete(alice, f"/jobs/{job.pk}/delete/")[1]
    assert Job.objects.exists()


def test_a_dataset_with_somebody_elses_jobs_is_deleted_by_admins_only(
    alice: User, bob: User, dana: User, dataset: Dataset
) -> None:
    make_job(bob, "ready", dataset=dataset, name="Bob's")
    path = f"/datasets/{dataset.pk}/delete-with-jobs/"
    assert "Only Bob or an admin can delete it." in delete(alice, path)[1]
    assert Job.objects.exists()
    assert delete(bob, path)[0] == 403
    assert "was deleted" in delete(dana, path)[1]
    assert not Job.objects.exists()


def test_no_list_brings_a_deleted_job_back(alice: User, provider: ScriptedProvider) -> None:
    job = finished(alice, provider, DATA)
    named = provider.adds(make_job(alice, "failed").name_at_provider)  # its answer was lost
    for each in Job.objects.all():
        delete(alice, f"/jobs/{each.pk}/delete/")
    outside = provider.adds("started elsewhere")
    follow_now()
    assert [each.request_id for each in Job.objects.all()] == [outside.id]
    assert {job.request_id, named.name[-8:]} <= {
        key for row in DeletedJob.objects.all() for key in (row.request_id, row.nonce)
    }


@pytest.mark.django_db(transaction=True)
def test_open_tables_learn_that_a_row_has_gone(alice: User) -> None:
    job = make_job(alice, "failed")
    watcher, stamp = ChangeWatcher(), query.stamp()
    watcher.check()
    delete(alice, f"/jobs/{job.pk}/delete/")
    assert query.stamp() != stamp
    watcher.version = ""  # SQLite names no commit of its own connection
    assert any(event.for_viewers.startswith(b"event: stale") for event in watcher.check())


@pytest.mark.django_db(transaction=True)
def test_the_engine_deletes_its_copies(alice: User, engine: RunningEngine, settings: Any) -> None:
    point_at(settings, engine)
    connections.built_in()
    Connection.objects.update(capabilities=["delete"])
    address = upload(engine)
    ids = [started(engine, "hats", data_source_path=address) for _ in range(2)]
    datasets = [make_dataset(alice), make_dataset(alice)]
    Transfer.objects.update(s3_url=address)
    for each, dataset in zip(ids, datasets, strict=True):
        reached(engine, each, "AVAILABLE")
        make_job(alice, "ready", request_id=each, dataset=dataset, sent_at=now())
    zip_file = engine.data_dir / "engine" / "storage" / keys.from_url(address)
    assert zip_file.exists()
    deleted = delete(alice, f"/jobs/{Job.objects.get(request_id=ids[0]).pk}/delete/")[1]
    assert "was deleted." in deleted
    assert "keeps" not in deleted
    finish()
    assert [status_of(engine, each) for each in ids] == [404, 200]
    assert zip_file.exists(), "the dataset is there for the next job"
    delete(alice, f"/datasets/{datasets[1].pk}/delete-with-jobs/")
    finish()
    assert status_of(engine, ids[1]) == 404
    assert not zip_file.exists()


def status_of(engine: RunningEngine, request_id: str) -> int:
    return call(engine, "GET", "/finetune/request/details", json={"request_id": request_id}).status_code


@pytest.mark.django_db(transaction=True)
def test_what_the_provider_does_not_delete_now_is_tried_again(
    alice: User, provider: ScriptedProvider
) -> None:
    provider.can = ("delete",)
    connections.built_in()
    Connection.objects.update(capabilities=["delete"])
    job = make_job(alice, "ready", request_id="one", sent_at=now())
    delete(alice, f"/jobs/{job.pk}/delete/")
    provider.script("delete", says(502, "<html>bad gateway</html>"), says(404, {"detail": "no such job"}))
    finishing.finish_next()
    assert Deletion.objects.get().at_provider
    assert Deletion.objects.get().error
    finish()
    assert not Deletion.objects.exists(), "404: it is gone"


def test_a_viewer_sees_no_button(alice: User, charlie: User) -> None:
    job = make_job(alice, "ready", dataset=make_dataset(alice))
    client: Client = signed_in(charlie)
    assert "Delete" not in client.get(f"/jobs/{job.pk}/").content.decode().split("<main")[1]
    assert "Delete" not in client.get(f"/datasets/{job.dataset.pk}/").content.decode().split("<main")[1]
