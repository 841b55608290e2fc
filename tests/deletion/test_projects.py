"""Delete a project with all that belongs to it: what goes, what stays, who may, and when it must wait."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.apps import apps
from django.core import serializers
from django.db import transaction
from django.urls import reverse

from finetune_portal.accounts.models import User
from finetune_portal.costs import services as costs
from finetune_portal.costs.models import Approval, Budget, Cost
from finetune_portal.datasets import library
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import costs as job_costs
from finetune_portal.jobs import placement
from finetune_portal.jobs.models import Job, SavedView
from finetune_portal.jobs.table import saved_views
from finetune_portal.playground.models import Generation, Input
from finetune_portal.projects import services as projects
from finetune_portal.projects.models import Member, Project
from finetune_portal.providers.contract import Money, Price
from finetune_portal.web.errors import ActionError
from tests.deletion.test_deletion import delete, files, finish
from tests.people import make_dataset, make_generation, make_job, signed_in, waits_for_approval

CLIENT = "Zebrafink"


@pytest.fixture
def project(dana: User, alice: User) -> Project:
    project = projects.add(CLIENT, actor=dana)
    projects.add_member(project, alice, actor=dana)
    return project


def path(project: Project) -> str:
    return reverse("deletion:project", args=[project.pk])


def naming() -> list[str]:
    """The rows of all tables that name the client."""
    rows = (row for model in apps.get_models() for row in model._default_manager.all())
    texts = {f"{row._meta.label} {row.pk}": serializers.serialize("json", [row]) for row in rows}
    return [name for name, text in texts.items() if CLIENT in text]


@pytest.mark.django_db(transaction=True)
def test_all_that_belongs_to_it_goes_and_nothing_names_it(dana: User, alice: User, project: Project) -> None:
    before = files()
    dataset = make_dataset(alice, name=f"{CLIENT} hats", project=project)
    job = make_job(alice, "ready", name=f"{CLIENT} one", dataset=dataset, project=project)
    make_generation(job)
    make_job(alice, "ready", name=f"{CLIENT} two", dataset=make_dataset(alice), project=project)
    moved_out = make_job(alice, "ready", name="kept", dataset=make_dataset(alice), project=project)
    signed_in(dana).post(f"/jobs/{moved_out.pk}/project/", {"project": ""})
    projects.rename(project, f"{CLIENT} & Sons", actor=dana)
    project.refresh_from_db()
    budget = Budget(project=project, currency="USD", amount=Decimal(5), action="ask")
    costs.set_budget(budget, actor=dana)
    with transaction.atomic():
        spent = costs.reserve(
            kind="job",
            subject=job.pk,
            job=job.pk,
            title=job.name,
            person=alice,
            connection=job.connection,
            project=project,
            price=Money(Decimal(7), "USD", Price.ESTIMATE),
        )
    Approval.objects.create(
        cost=spent, reason=f"The budget of {CLIENT} is full.", comment=f"Not for {CLIENT}."
    )
    page = " ".join(signed_in(dana).get(f"/settings/projects/{project.pk}/").content.decode().split())
    assert "With 2 jobs and 1 dataset, all models, pictures and runs." in page

    status, messages = delete(dana, path(project))
    assert (status, "was deleted" in messages) == (200, True)
    finish()
    assert naming() == []
    assert list(Job.objects.all()) == [moved_out]
    assert not dataset.path.exists()
    assert not any(model._default_manager.exists() for model in (Project, Member, Budget, Generation))
    kept = Cost.objects.get(pk=spent.pk)
    assert (kept.estimate, kept.project, kept.title) == (Decimal(7), None, "")
    assert "with all that belonged to it" in signed_in(dana).get("/audit/").content.decode()
    assert len([each for each in files() if each not in before]) == 2, "the datasets of the jobs outside"


def test_what_is_used_outside_of_it_keeps_it(dana: User, alice: User, project: Project) -> None:
    dataset = make_dataset(alice, name="hats", project=project)
    make_job(alice, "ready", name="Elsewhere", dataset=dataset)
    messages = delete(dana, path(project))[1]
    assert "“Elsewhere” is outside of this project and was trained on its dataset “hats”." in messages
    assert Project.objects.exists()
    assert Dataset.objects.exists()


@pytest.mark.parametrize("state", ["waiting", "approval", "queued", "unconfirmed", "training"])
def test_it_waits_for_its_jobs(dana: User, alice: User, project: Project, state: str) -> None:
    make_job(alice, state, project=project)
    assert "“Day to night” has not ended" in delete(dana, path(project))[1]
    assert Project.objects.exists()


def test_it_waits_for_its_datasets(dana: User, alice: User, project: Project) -> None:
    make_dataset(alice, name="hats", project=project, state="checking")
    assert "“hats” is being uploaded or checked" in delete(dana, path(project))[1]
    assert Project.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_deleted_dataset_that_stayed_for_its_jobs_goes_too(
    dana: User, alice: User, project: Project
) -> None:
    shared, alone = make_dataset(alice), make_dataset(alice)
    make_job(alice, "ready", dataset=shared, project=project)
    make_job(alice, "ready", dataset=shared)
    make_job(alice, "ready", dataset=alone, project=project)
    for each in (shared, alone):
        signed_in(alice).post(f"/datasets/{each.pk}/delete/")
    delete(dana, path(project))
    assert list(Dataset.objects.all()) == [shared]
    assert Job.objects.count() == 1


def test_only_admins_delete_one(alice: User, charlie: User, project: Project) -> None:
    for person in (alice, charlie):
        assert delete(person, path(project))[0] == 403
        page = signed_in(person).get(f"/settings/projects/{project.pk}/").content.decode()
        assert "Delete project" not in page
    assert Project.objects.exists()


def test_a_private_one_is_there_for_nobody_else(bob: User, dana: User, project: Project) -> None:
    projects.set_private(project, private=True, actor=dana)
    assert delete(bob, path(project))[0] in (403, 404)
    assert Project.objects.exists()


def test_an_empty_one_is_deleted_as_well(dana: User, project: Project) -> None:
    page = signed_in(dana).get(f"/settings/projects/{project.pk}/").content.decode()
    assert "Nothing belongs to it." in page
    delete(dana, path(project))
    assert not Project.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_was_said_of_its_budgets_goes_as_well(dana: User, alice: User, project: Project) -> None:
    """Of a budget that was removed before, and on the page of a job that was moved out."""
    projects.rename(project, f"{CLIENT} & Sons", actor=dana)
    project.refresh_from_db()
    for person in (None, alice):
        budget = Budget(project=project, person=person, currency="USD", amount=Decimal(5), action="ask")
        costs.set_budget(budget, actor=dana)
        costs.remove_budget(budget, actor=dana)
    job = waits_for_approval(make_job(alice, dataset=make_dataset(alice), project=project))
    Cost.objects.update(project=project)
    Approval.objects.update(reason=f"The budget of {CLIENT} is full.")
    job_costs.wait_for_approval(job, Cost.objects.get())
    signed_in(dana).post(f"/jobs/{job.pk}/decline/", {"reason": f"Not for {CLIENT}."})
    signed_in(dana).post(f"/jobs/{job.pk}/project/", {"project": ""})
    delete(dana, path(project))
    assert naming() == []
    assert Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_saved_views_of_it_go_and_others_stay(dana: User, alice: User, project: Project) -> None:
    saved_views.save_view(alice, name=f"Of {CLIENT}", query=f"state=ready&project={project.pk}")
    saved_views.save_view(alice, name="Another", query=f"project={project.pk}0")
    delete(dana, path(project))
    assert [view.name for view in SavedView.objects.all()] == ["Another"]
    assert naming() == []


def test_it_waits_for_runs_of_other_models_on_its_pictures(dana: User, alice: User, project: Project) -> None:
    dataset = make_dataset(alice, project=project)
    make_job(alice, "ready", dataset=dataset, project=project)
    run = make_generation(make_job(alice, "ready", name="Elsewhere", dataset=make_dataset(alice)))
    Input.objects.update(dataset=dataset)
    Generation.objects.update(state="queued")
    assert "A run of “Elsewhere” has not ended" in delete(dana, path(project))[1]
    assert Project.objects.exists()
    Generation.objects.filter(pk=run.pk).update(state="done")
    delete(dana, path(project))
    assert not Project.objects.exists()


def test_what_comes_in_while_it_is_deleted_is_refused(dana: User, alice: User, project: Project) -> None:
    """The form was read before, and the project is gone when it is done."""
    job, dataset = make_job(alice, "ready"), make_dataset(alice)
    gone = Project.objects.get(pk=project.pk)
    delete(dana, path(project))
    with pytest.raises(ActionError):
        projects.rename(gone, f"{CLIENT} & Sons", actor=dana)
    assert naming() == [], "nothing is written of it"
    for move, thing in ((placement.move, job), (library.move, dataset)):
        with pytest.raises(ActionError):
            move(thing, gone, actor=dana)
