"""Whoever locks the same rows at the same moment takes them in one order (jobs/limits.py): no deadlock."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections.services import default
from finetune_portal.costs import services as costs
from finetune_portal.costs.models import Budget
from finetune_portal.datasets import library
from finetune_portal.datasets.models import Dataset
from finetune_portal.deletion import services as deletion
from finetune_portal.jobs import placement
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import start_all
from finetune_portal.playground import services as playground
from finetune_portal.playground.models import Generation, Input
from finetune_portal.projects import services as projects
from finetune_portal.projects.models import Member, Project
from finetune_portal.web.errors import ActionError
from tests import databases
from tests.people import make_dataset, make_generation, make_job
from tests.registry.test_copying import somebody_waits
from tests.waiting import until

pytestmark = [
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time"),
    pytest.mark.django_db(transaction=True),
]


def at_once(first: Callable[[], object], second: Callable[[], object], *, before: str, nth: int = 1) -> None:
    """Begin `second` right before the `nth` statement of `first` that begins so, and let it wait for a lock.

    Raises what either raises, but an ActionError of the second.
    """
    begun: list[Future[None]] = []
    seen: list[str] = []

    def run_second() -> None:
        try:
            second()
        except ActionError:
            pass  # it says that somebody was faster
        finally:
            connections.close_all()

    def begin_second(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith(before):
            seen.append(sql)
        if not begun and len(seen) == nth:
            begun.append(pool.submit(run_second))
            until(lambda: begun[0].done() or somebody_waits(), why="the second waits for the first")
        return execute(sql, *args)

    with ThreadPoolExecutor(1) as pool:
        with connection.execute_wrapper(begin_second):
            first()
        assert begun, "it has such a statement"
        begun[0].result(60)


@pytest.fixture
def project(dana: User, alice: User) -> Project:
    project = projects.add("Spring", actor=dana)
    Member.objects.create(project=project, user=alice)
    return project


@pytest.fixture
def budget(project: Project) -> Budget:
    return Budget.objects.create(project=project, amount=Decimal(5), currency="USD")


def test_a_project_is_made_private_as_a_job_starts_in_it(alice: User, dana: User, project: Project) -> None:
    dataset = make_dataset(alice)
    parameters = {"name": "hats", "instance_prompt": "night", "connection": default()}
    start = {"actor": alice, "dataset": dataset, "form_key": uuid.uuid4(), "project": project}
    at_once(
        lambda: projects.set_private(project, private=True, actor=dana),
        lambda: start_all(**start, parameter_sets=[parameters], prices=[None]),
        before='UPDATE "projects_project"',
    )
    assert Project.objects.get().is_private
    assert Job.objects.count() == 1


def test_a_project_is_made_private_as_a_dataset_comes_into_it(
    alice: User, dana: User, project: Project
) -> None:
    """The one of the two that comes second is refused: a job outside would show what the project has."""
    dataset = make_dataset(alice)
    make_job(alice, "failed", dataset=dataset)
    at_once(
        lambda: projects.set_private(project, private=True, actor=dana),
        lambda: library.move(dataset, Project.objects.get(pk=project.pk), actor=alice),
        before='UPDATE "projects_project"',
    )
    assert Project.objects.get().is_private
    assert Dataset.objects.get().project is None


def test_a_budget_is_changed_as_its_project_is_deleted(dana: User, project: Project, budget: Budget) -> None:
    def change() -> None:
        changed = Budget.objects.select_related("project").get(pk=budget.pk)
        changed.amount = Decimal(6)
        costs.set_budget(changed, actor=dana)

    at_once(lambda: deletion.delete_project(project, actor=dana), change, before='DELETE FROM "costs_budget"')
    assert not Budget.objects.filter(pk=budget.pk).exists()


def test_a_project_is_deleted_as_its_budget_is_changed(dana: User, project: Project, budget: Budget) -> None:
    changed = Budget.objects.select_related("project").get(pk=budget.pk)
    at_once(
        lambda: costs.set_budget(changed, actor=dana),
        lambda: deletion.delete_project(project, actor=dana),
        before='UPDATE "costs_budget"',
    )
    assert not Project.objects.exists()


def test_a_budget_is_added_as_its_project_is_deleted(dana: User, project: Project) -> None:
    """Deleted with it, the budget would be locked after its project, and its next change before."""
    added = Budget(project=project, amount=Decimal(5), currency="USD")
    with pytest.raises(ActionError, match="came into the project meanwhile"):
        at_once(
            lambda: deletion.delete_project(project, actor=dana),
            lambda: costs.set_budget(added, actor=dana),
            before='UPDATE "costs_cost"',
        )
    assert Budget.objects.get().project == project
    deletion.delete_project(project, actor=dana)
    assert "Spring" not in databases.every_value()


def test_a_budget_is_removed_as_its_project_is_deleted(dana: User, project: Project, budget: Budget) -> None:
    """What the record says of it names the project."""
    at_once(
        lambda: deletion.delete_project(project, actor=dana),
        lambda: costs.remove_budget(budget, actor=dana),
        before='SELECT "costs_budget"',
    )
    assert not Budget.objects.filter(project__isnull=False).exists()
    assert "Spring" not in databases.every_value()


def test_a_model_is_run_as_its_project_is_deleted(
    dana: User, project: Project, budget: Budget, alice: User
) -> None:
    job = make_job(dana, "ready", project=project, request_id="r-1", slug="hats-1", ended_at=now())
    image = make_generation(job).input
    settings = {"prompt": "night", "strength": 1.0, "seed": 7, "steps": 28, "guidance": 2.5}
    run = {"actor": dana, "jobs": [job], "image": image, "form_key": uuid.uuid4(), **settings}
    at_once(
        lambda: deletion.delete_project(Project.objects.get(pk=project.pk), actor=dana),
        lambda: playground.run(**run),
        before='DELETE FROM "costs_budget"',
    )
    assert not Generation.objects.exists()


def test_a_member_leaves_as_the_project_is_deleted(dana: User, project: Project) -> None:
    member = Member.objects.get()
    at_once(
        lambda: deletion.delete_project(project, actor=dana),
        lambda: projects.remove_member(member, actor=dana),
        before='DELETE FROM "projects_member"',
    )
    assert not Member.objects.exists()


def test_a_job_is_moved_as_its_dataset_is_deleted(alice: User, project: Project) -> None:
    dataset = make_dataset(alice)
    dataset.transfers.all().delete()
    job = make_job(alice, "failed", dataset=dataset)
    at_once(
        lambda: deletion.delete_dataset(dataset, actor=alice),
        lambda: placement.move(job, project, actor=alice),
        before='DELETE FROM "datasets_dataset"',
    )
    assert not Job.objects.exists()


def test_a_run_is_deleted_with_its_baseline_as_the_model_is(alice: User) -> None:
    job = make_job(alice, "ready")
    run = make_generation(job)
    baseline = make_generation(job)
    Generation.objects.filter(pk=baseline.pk).update(compare_to=run)
    at_once(
        lambda: deletion.delete_model(job, actor=alice),
        lambda: playground.delete(run, actor=alice),
        before='DELETE FROM "playground_generation"',
        nth=2,  # the baseline went first
    )
    assert not Generation.objects.exists()
    assert not Input.objects.exists()
