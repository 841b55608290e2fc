"""A form that names what somebody deletes in the same moment answers with a sentence, and changes nothing.

The row goes right after the view has read it: its form is checked, and the service comes too late.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db.models import Model
from django.db.models.signals import post_init

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections.services import default
from finetune_portal.costs.models import Budget
from finetune_portal.datasets import library
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.deletion import services as deletion
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import start_all
from finetune_portal.jobs.table import bulk
from finetune_portal.notifications.models import Channel, Notification
from finetune_portal.projects.models import Member, Project
from finetune_portal.web.errors import ActionError
from tests.people import form_data, just_signed_in, make_dataset, make_job

PROJECT = "The project was deleted meanwhile, so nothing was changed."
BUDGET = "The budget was removed meanwhile, so nothing was changed."
CHANNEL = "The channel was deleted meanwhile, so nothing was changed."
CHANGES = {"amount": "5", "currency": "USD", "action": "ask"}


@dataclass(frozen=True)
class Things:
    alice: User
    project: Project
    budget: Budget
    channel: Channel
    dataset: Dataset


# The class of what is deleted, the address and the fields of the form, and the sentence.
Case = tuple[type[Model], Callable[[Things], tuple[str, dict[str, Any]]], str]
CASES: dict[str, Case] = {
    "a member is added": (
        Project,
        lambda t: (f"/settings/projects/{t.project.pk}/members/", {"person": t.alice.pk}),
        PROJECT,
    ),
    "a project is renamed": (
        Project,
        lambda t: (f"/settings/projects/{t.project.pk}/rename/", {"name": "Spring"}),
        PROJECT,
    ),
    "a project is made private": (
        Project,
        lambda t: (f"/settings/projects/{t.project.pk}/private/", {}),
        PROJECT,
    ),
    "a project is opened": (Project, lambda t: (f"/settings/projects/{t.project.pk}/open/", {}), PROJECT),
    "a budget of a project is added": (
        Project,
        lambda t: ("/settings/budgets/", {**CHANGES, "project": t.project.pk}),
        PROJECT,
    ),
    "a budget is changed": (Budget, lambda t: (f"/settings/budgets/{t.budget.pk}/", CHANGES), BUDGET),
    "a budget is removed": (Budget, lambda t: (f"/settings/budgets/{t.budget.pk}/remove/", {}), BUDGET),
    "a channel is tested": (Channel, lambda t: (f"/settings/notices/{t.channel.pk}/test/", {}), CHANNEL),
    "a channel is switched": (
        Channel,
        lambda t: (f"/settings/notices/{t.channel.pk}/switch/", {"event": "ready"}),
        CHANNEL,
    ),
    "a channel is removed": (Channel, lambda t: (f"/settings/notices/{t.channel.pk}/remove/", {}), CHANNEL),
    "a job is started with a dataset": (
        Dataset,
        lambda t: ("/jobs/new/", form_data(t.dataset)),
        "This dataset was rejected or deleted. Select another one.",
    ),
    "a job is started in a project": (
        Project,
        lambda t: ("/jobs/new/", form_data(t.dataset, project=t.project.pk)),
        "You are no longer a member of this project.",
    ),
}


@contextmanager
def once_read(kind: type[Model], pk: int, act: Callable[[], object]) -> Iterator[None]:
    """Do something in the moment when the row is first read."""

    def do(instance: Model, **_: Any) -> None:
        if instance.pk == pk:
            post_init.disconnect(do, sender=kind)
            act()

    post_init.connect(do, sender=kind)
    try:
        yield
    finally:
        assert not post_init.disconnect(do, sender=kind), "the form reads it"


def delete_row(kind: type[Model], pk: int) -> None:
    if kind is Dataset:
        Transfer.objects.filter(dataset=pk).delete()
    kind._default_manager.filter(pk=pk).delete()


@pytest.mark.django_db(transaction=True)  # a database looks for what a row refers to when it commits
def test_the_form_says_what_was_deleted_meanwhile(alice: User, dana: User) -> None:
    client = just_signed_in(dana)
    for case, (kind, form, sentence) in CASES.items():
        project = Project.objects.create(name=case, folded_name=case)
        budget = Budget.objects.create(amount=Decimal(9), currency="USD", person=dana)
        channel = Channel.objects.create(owner=dana, display_address="d@example.com")
        things = Things(alice, project, budget, channel, make_dataset(dana))
        path, fields = form(things)
        gone = {Project: project, Budget: budget, Channel: channel, Dataset: things.dataset}[kind]
        before = AuditEvent.objects.count()
        with once_read(kind, gone.pk, partial(delete_row, kind, gone.pk)):
            answer = client.post(path, fields, follow=True)
        assert answer.status_code in (200, 422), case
        assert sentence in answer.content.decode(), case
        assert AuditEvent.objects.count() == before, case
        assert not kind._default_manager.filter(pk=gone.pk).exists(), f"{case}: it comes back"
        for each in (Member, Notification, Job):
            assert not each._default_manager.exists(), case


def test_a_job_of_a_dataset_that_was_deleted_after_its_form_was_checked(alice: User) -> None:
    dataset = make_dataset(alice)
    Transfer.objects.all().delete()
    Dataset.objects.filter(pk=dataset.pk).delete()
    parameters = {"name": "hats", "instance_prompt": "night", "connection": default()}
    with pytest.raises(ActionError, match="The dataset was deleted meanwhile, so nothing was started"):
        start_all(actor=alice, dataset=dataset, form_key=uuid.uuid4(), parameter_sets=[parameters])
    assert not Job.objects.exists()


@pytest.mark.parametrize("what", ["", "remove/"])
@pytest.mark.django_db(transaction=True)
def test_a_budget_whose_project_is_deleted_meanwhile(dana: User, what: str) -> None:
    project = Project.objects.create(name="Spring", folded_name="spring")
    budget = Budget.objects.create(amount=Decimal(9), currency="USD", project=project)
    client = just_signed_in(dana)
    with once_read(Budget, budget.pk, partial(delete_row, Project, project.pk)):
        answer = client.post(f"/settings/budgets/{budget.pk}/{what}", CHANGES, follow=True)
    assert answer.status_code == 200
    assert "deleted meanwhile" in (page := answer.content.decode()) or BUDGET in page
    assert not Budget.objects.filter(pk=budget.pk).exists()
    assert not AuditEvent.objects.filter(action__startswith="budget").exists()


JOB_FORMS: dict[str, dict[str, Any]] = {
    "project/": {},
    "describe/": {"name": "Zebrafink", "note": "Zebrafink", "tags": ""},
}
DATASET_FORMS: dict[str, dict[str, Any]] = {
    "project/": {},
    "rename/": {"name": "Zebrafink"},
    "delete/": {},
    "hand-over/": {},
}
OF_BOTH = [(Job, path) for path in JOB_FORMS] + [(Dataset, path) for path in DATASET_FORMS]


@pytest.mark.parametrize(("kind", "path"), OF_BOTH, ids=lambda each: getattr(each, "__name__", each))
@pytest.mark.django_db(transaction=True)
def test_no_name_comes_into_the_record_after_the_deletion(dana: User, kind: type[Model], path: str) -> None:
    project = Project.objects.create(name="Spring", folded_name="spring")
    dataset = make_dataset(dana, name="Zebrafink")
    Transfer.objects.all().delete()
    job = make_job(dana, "failed", dataset=dataset, name="Zebrafink")
    fields = (JOB_FORMS if kind is Job else DATASET_FORMS)[path]
    thing = job if kind is Job else dataset
    address = f"/{'jobs' if kind is Job else 'datasets'}/{thing.pk}/{path}"
    client = just_signed_in(dana)
    delete = partial(deletion.delete_dataset, Dataset(pk=dataset.pk), actor=dana)  # and the job
    with once_read(kind, thing.pk, delete):
        answer = client.post(address, {**fields, "project": project.pk}, follow=True)
    assert answer.status_code == 200
    assert "deleted meanwhile" in answer.content.decode()
    assert not Job.objects.exists()
    for event in AuditEvent.objects.filter(thing__in=(f"job {job.pk}", f"dataset {dataset.pk}")):
        assert event.action == "dataset.delete-all"
        assert "Zebrafink" not in str(event.detail)


def test_a_job_that_was_deleted_is_not_archived(dana: User) -> None:
    job = make_job(dana, "failed", name="Zebrafink")
    stays = make_job(dana, "failed")
    deletion.delete_job(Job(pk=job.pk), actor=dana)
    assert bulk.archive([job, stays], actor=dana) == [stays.pk]
    assert AuditEvent.objects.filter(action="job.archive").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_dataset_that_was_deleted_is_not_moved(dana: User) -> None:
    project = Project.objects.create(name="Spring", folded_name="spring")
    dataset = make_dataset(dana)
    Transfer.objects.all().delete()
    Dataset.objects.filter(pk=dataset.pk).delete()
    with pytest.raises(ActionError, match="was deleted meanwhile"):
        library.move(dataset, project, actor=dana)
