"""What is made of a private project stays in it: jobs of its datasets, pictures, notifications."""

from __future__ import annotations

import ast
import uuid
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets import access as datasets
from finetune_portal.datasets import library, versions
from finetune_portal.datasets.models import Dataset
from finetune_portal.deletion import services as deletion
from finetune_portal.jobs.models import Job
from finetune_portal.notifications.models import Channel, Notification
from finetune_portal.notifications.tasks import create_notifications, send_next
from finetune_portal.playground import access as playground
from finetune_portal.playground import inputs
from finetune_portal.playground.models import Generation, Input
from finetune_portal.playground.services import run
from finetune_portal.projects import services
from finetune_portal.projects.models import Member, Project
from finetune_portal.web.encryption import encrypt
from finetune_portal.web.errors import ActionError
from tests.gateway.api_client import SUBMIT, call, error_of, submit_body, token_of
from tests.people import form_data, make_dataset, make_generation, make_job, signed_in
from tests.playground.conftest import image
from tests.test_architecture import PORTAL, name_of, sources, tree

# Modules that people reach: they get rows from an access.py, which knows who asks.
OF_PAGES = (
    "views",
    "forms",
    "endpoints",
    "templatetags",
    "page",
    "table",
    "form_views",
    "page_forms",
    "people_views",
    "panel",
)
ROWS = {"Job", "Dataset", "Generation", "Input", "ModelFile", "Training", "JobEvent", "Member", "Preset"}
# Rows that are the asker's own, or of whoever may do everything.
OWN = {
    (f"{PORTAL}.jobs.forms", "Job"),  # whether the person's own form was sent before
    (f"{PORTAL}.jobs.table.bulk", "Job"),  # jobs that selection.py looked up
    (f"{PORTAL}.webhooks.table", "Job"),  # admins
    (f"{PORTAL}.playground.panel", "Generation"),  # none
    (f"{PORTAL}.jobs.forms", "Dataset"),  # none
}


@pytest.fixture
def project(dana: User, alice: User) -> Project:
    project = services.add("Winter", actor=dana)
    services.add_member(project, alice, actor=dana)
    services.set_private(project, private=True, actor=dana)
    return project


@pytest.fixture
def private(alice: User, project: Project) -> Dataset:
    return make_dataset(alice, project=project)


def test_pages_and_calls_get_rows_from_an_access_module() -> None:
    """So no view forgets who asks."""
    direct = {
        (name_of(path), node.value.id)
        for path in sources(PORTAL)
        if set(OF_PAGES) & set(name_of(path).split(".")[2:])
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in ("objects", "_default_manager")
        if isinstance(node.value, ast.Name) and node.value.id in ROWS
    }
    assert direct - OWN == set()


def test_a_job_with_a_dataset_of_the_project_is_in_the_project(alice: User, private: Dataset) -> None:
    assert signed_in(alice).post("/jobs/new/", form_data(private)).status_code == 302
    assert Job.objects.get().project == private.project


def test_a_job_elsewhere_is_refused_that_dataset(alice: User, dana: User, private: Dataset) -> None:
    other = services.add("Summer", actor=dana)
    services.add_member(other, alice, actor=dana)
    answer = signed_in(alice).post("/jobs/new/", form_data(private, project=other.pk))
    assert answer.status_code == 422
    assert "belongs to the private project “Winter”" in answer.content.decode()
    assert not Job.objects.exists()


def test_nobody_starts_a_job_in_a_project_of_others(bob: User, dataset: Dataset, project: Project) -> None:
    answer = signed_in(bob).post("/jobs/new/", form_data(dataset, project=project.pk))
    assert answer.status_code == 422
    assert "You are not a member of this project." in answer.content.decode()
    assert "Winter" not in answer.content.decode()


def test_the_api_starts_jobs_of_that_dataset_in_the_project(alice: User, bob: User, private: Dataset) -> None:
    body = submit_body(f"http://testserver/finetune/uploads/{private.key}/night.zip")
    there_is_none = error_of(call(token_of(bob, "train"), "POST", SUBMIT, body))
    assert "there is no ZIP at this URL" in there_is_none
    assert call(token_of(alice, "train"), "POST", SUBMIT, body).status_code == 200
    assert Job.objects.get().project == private.project


def test_a_new_version_is_in_the_project_of_its_dataset(alice: User, private: Dataset) -> None:
    assert versions.with_captions(private, {"01": "night"}, actor=alice).project == private.project


def test_a_project_whose_datasets_are_shown_elsewhere_cannot_become_private(
    alice: User, dana: User, project: Project, private: Dataset
) -> None:
    services.set_private(project, private=False, actor=dana)
    job = make_job(alice, "ready", dataset=private)
    answer = signed_in(dana).post(f"/settings/projects/{project.pk}/private/", follow=True)
    assert "1 job outside of this project was started with its datasets" in answer.content.decode()
    project.refresh_from_db()
    assert not project.is_private
    job.project = project
    job.save()
    services.set_private(project, private=True, actor=dana)
    assert project.is_private


def test_a_duplicate_is_named_to_whoever_sees_it(alice: User, bob: User, private: Dataset) -> None:
    Dataset.objects.update(sha256="a" * 64)
    own, others = make_dataset(bob, sha256="a" * 64), make_dataset(alice, sha256="a" * 64)
    assert datasets.duplicate_of(bob, own) is None
    assert datasets.duplicate_of(alice, others) == private


def test_a_job_that_needs_a_dataset_is_not_named_to_others(alice: User, bob: User, project: Project) -> None:
    dataset = make_dataset(bob)
    make_job(alice, "queued", name="Secret", dataset=dataset, project=project)
    with pytest.raises(ActionError, match="^A job still needs this dataset"):
        library.delete(dataset, actor=bob)
    page = signed_in(bob).get(f"/datasets/{dataset.pk}/").content.decode()
    assert "Secret" not in page


def test_a_dataset_is_not_deleted_with_a_job_that_its_owner_does_not_see(
    alice: User, bob: User, project: Project
) -> None:
    dataset = make_dataset(bob)
    make_job(alice, "ready", name="Secret", dataset=dataset, project=project)
    page = signed_in(bob).post(f"/datasets/{dataset.pk}/delete-with-jobs/", follow=True)
    with pytest.raises(ActionError, match="^Somebody else’s job was started with it"):
        deletion.delete_dataset(dataset, actor=bob)
    assert "Secret" not in page.content.decode()
    assert Job.objects.count() == 1


@pytest.fixture
def runnable(alice: User, private: Dataset) -> Job:
    connections.built_in()
    Connection.objects.update(capabilities=["run"])
    return make_job(alice, "ready", slug="a", dataset=private, project=private.project)


SETTINGS: dict[str, Any] = {"prompt": "night", "strength": 1.0, "seed": 7, "steps": 28, "guidance": 2.5}


def test_one_picture_is_not_run_in_and_outside_of_the_project(alice: User, runnable: Job) -> None:
    """Its picture would be shown to all with the other run."""
    open_job = make_job(alice, "ready", slug="b")
    picture = make_generation(runnable).input
    with pytest.raises(ActionError, match="belongs to a private project"):
        run(actor=alice, jobs=[open_job, runnable], image=picture, form_key=uuid.uuid4(), **SETTINGS)


def test_a_picture_of_the_project_is_offered_to_no_other_job(alice: User, dana: User, runnable: Job) -> None:
    value = f"input-{make_generation(runnable).input_id}"
    for who in (alice, dana):
        assert playground.input_named(who, value, [runnable])
        assert playground.input_named(who, value, [make_job(who, "ready")]) is None


def test_a_picture_of_the_project_that_no_run_used_stays_in_it(
    alice: User, dana: User, runnable: Job, private: Dataset
) -> None:
    """Such as one whose run was refused: neither another job nor who is no member any more has it."""
    picture = make_generation(runnable).input
    Generation.objects.all().delete()
    Input.objects.filter(pk=picture.pk).update(owner=alice, dataset=private)
    value = f"input-{picture.pk}"
    assert playground.input_named(alice, value, [runnable]) == picture
    assert playground.input_named(alice, value, [make_job(alice, "ready")]) is None
    services.remove_member(Member.objects.get(user=alice), actor=dana)
    assert playground.input_named(alice, value, [runnable]) is None
    assert signed_in(alice).get(f"/try/inputs/{picture.pk}/large.webp").status_code == 404


def test_equal_pictures_share_no_name_with_others(alice: User, bob: User, runnable: Job) -> None:
    """Nor does one go when the other is deleted."""
    first = inputs.from_file(image(), "secret.png", actor=alice, job=runnable)
    Generation.objects.create(
        owner=alice, job=runnable, connection=runnable.connection, input=first, **SETTINGS
    )
    second = inputs.from_file(image(), "mine.png", actor=bob, job=make_job(bob, "ready"))
    assert (second.name, second.path) == ("mine.png", first.path)
    assert list(playground.inputs(bob)) == [second]
    third = inputs.from_file(image(), "again.png", actor=alice, job=runnable)
    assert third == first
    inputs.delete_unused(second)
    assert first.path.exists()
    assert not Input.objects.filter(pk=second.pk).exists()


def test_who_uploads_a_picture_sees_it_until_a_run_shows_it(alice: User, bob: User) -> None:
    picture = inputs.from_file(image(), "a.png", actor=alice)
    assert list(playground.inputs(alice)) == [picture]
    assert list(playground.inputs(bob)) == []


def channel(owner: User | None) -> Channel:
    return Channel.objects.create(
        owner=owner, kind="email", display_address="a", encrypted_address=encrypt("a@example.com")
    )


def test_only_the_owner_hears_of_a_job_and_only_as_a_member(
    alice: User, dana: User, project: Project
) -> None:
    own, _ = channel(alice), channel(None)
    job = make_job(alice, "ready", project=project, sent_at=now(), ended_at=now())
    create_notifications()
    assert [each.channel for each in Notification.objects.all()] == [own]
    services.remove_member(Member.objects.get(user=alice), actor=dana)
    assert send_next()
    sent = Notification.objects.get()
    assert (sent.finished_at is not None, sent.error) == (True, ""), "nothing was sent, nor tried"
    Notification.objects.all().delete()
    create_notifications()
    assert not Notification.objects.filter(job=job).exists()
