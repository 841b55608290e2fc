"""What leaves a project says nothing of its budgets to those who may see it from then on."""

from __future__ import annotations

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.costs.models import Approval
from finetune_portal.jobs import costs as job_costs
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.projects.models import Member, Project
from tests.people import just_signed_in, make_dataset, make_job, signed_in, waits_for_approval

CLIENT = "Acme"


@pytest.fixture
def waiting(alice: User) -> Job:
    project = Project.objects.create(name=CLIENT, is_private=True)
    Member.objects.create(project=project, user=alice)
    job = waits_for_approval(make_job(alice, dataset=make_dataset(alice), project=project))
    Approval.objects.update(reason=f"The budget of “{CLIENT}” (5.00 USD a month) is full.")
    job_costs.wait_for_approval(job, Approval.objects.get().cost)
    return job


@pytest.mark.django_db(transaction=True)
def test_a_job_that_waits_for_an_approval_stays(alice: User, waiting: Job) -> None:
    client = just_signed_in(alice)
    page = client.post(f"/jobs/{waiting.pk}/project/", {"project": ""}, follow=True).content.decode()
    assert "waits for an approval of its cost in this project" in page
    waiting.refresh_from_db()
    assert waiting.project is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("answer", "is_private"), [("approve", True), ("decline", True), ("approve", False)])
def test_its_page_names_no_budget_of_the_project_it_left(
    answer: str, is_private: bool, alice: User, dana: User, bob: User, waiting: Job
) -> None:
    just_signed_in(dana).post(f"/jobs/{waiting.pk}/{answer}/", {"reason": f"Not for {CLIENT}."})
    assert Job.objects.get().state != State.APPROVAL
    Project.objects.update(is_private=is_private)  # an open one may become private later
    page = f"/jobs/{waiting.pk}/"
    assert CLIENT in signed_in(alice).get(page).content.decode()
    just_signed_in(alice).post(f"{page}project/", {"project": ""})
    shown = signed_in(bob).get(page).content.decode()
    assert "Waits for an admin’s approval." in shown
    assert CLIENT not in shown
    assert "5.00 USD" not in shown
