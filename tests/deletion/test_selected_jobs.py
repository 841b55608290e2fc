"""Delete the selected jobs of the table: one page that asks, and who is left out by which sentence."""

from __future__ import annotations

import re
from typing import Any

from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.playground.models import Generation
from finetune_portal.projects.models import Project
from tests.people import make_dataset, make_generation, make_job, signed_in

PATH = "/jobs/delete/"


def asked(user: User, *jobs: Job, query: str = "") -> str:
    """The page after "Delete" in the table."""
    fields = {"job": [job.pk for job in jobs], "action": "delete", "query": query}
    answer = signed_in(user).post("/jobs/bulk/", fields, follow=True)
    return answer.content.decode().split("<main")[1]


def sent(user: User, page: str, **fields: Any) -> str:
    """The page that follows when its form is sent."""
    keys = re.findall(r'name="job" value="(\d+)"', page)
    answer = signed_in(user).post(PATH, {"job": keys, **fields}, follow=True)
    return answer.content.decode()


def test_the_page_says_what_goes_and_what_stays_and_they_go(alice: User) -> None:
    dataset = make_dataset(alice)
    jobs = [make_job(alice, state, name=f"Hat {state}", sent_at=now()) for state in ("ready", "failed")]
    make_generation(make_job(alice, "ready", name="Kept"))
    page = asked(alice, *jobs)
    assert "Delete 2 jobs?" in page
    assert "Hat ready" in page
    assert "Hat failed" in page
    assert "Their datasets stay. Segmind keeps the dataset, the job and its model" in page
    assert Job.objects.count() == 3, "it only asks"
    result = sent(alice, page, query="state=ready")
    assert "2 jobs deleted. Segmind keeps" in result
    assert [job.name for job in Job.objects.all()] == ["Kept"]
    assert Generation.objects.exists()
    dataset.refresh_from_db()


def test_those_that_may_not_be_deleted_are_named_and_stay(alice: User, bob: User) -> None:
    mine = make_job(alice, "failed", name="Mine")
    trains = make_job(alice, "training", name="Trains")
    busy = make_job(alice, "ready", name="Busy")
    Generation.objects.filter(pk=make_generation(busy).pk).update(state="running")
    stays = [trains, busy, make_job(bob, "ready", name="Bob’s"), make_job(None, "ready", name="Outside")]
    sentences = (
        "“Trains” has not ended. Cancel or withdraw it, or wait, then delete.",
        "A run of “Busy” has not ended. Wait for it, then delete.",
        "“Bob’s” was started by Bob. Only Bob or an admin can delete it.",
        "“Outside” was started outside the portal. Only an admin can delete it.",
    )
    page = asked(alice, mine, *stays)
    assert "Delete 1 job?" in page
    assert "These 4 jobs stay" in page
    for sentence in sentences:
        assert sentence in page
    assert re.findall(r'name="job" value="(\d+)"', page) == [str(mine.pk)]
    everything = signed_in(alice).post(PATH, {"job": [job.pk for job in (mine, *stays)]}, follow=True)
    for sentence in sentences:  # also where somebody sends another form
        assert sentence in everything.content.decode()
    assert set(Job.objects.all()) == set(stays)


def test_none_can_be_deleted_and_none_was_selected(alice: User, bob: User, charlie: User) -> None:
    job = make_job(bob, "ready")
    page = asked(alice, job)
    assert "None of these jobs can be deleted" in page
    assert "danger" not in page
    answer = signed_in(alice).get(PATH, {"query": "state=ready"}, follow=True)
    assert answer.redirect_chain[-1][0] == "/?state=ready"
    assert "Select one or more jobs first" in answer.content.decode()
    assert signed_in(charlie).get(PATH, {"job": job.pk}).status_code == 403
    assert 'value="delete"' not in signed_in(charlie).get("/").content.decode()


def test_a_hidden_job_is_not_there(alice: User, bob: User, dana: User) -> None:
    project = Project.objects.create(name="Secret", folded_name="secret", is_private=True)
    job = make_job(bob, "ready", name="Zebrafink", project=project)
    page = signed_in(alice).get(PATH, {"job": job.pk}, follow=True).content.decode()
    assert "Zebrafink" not in page
    assert "Zebrafink" in asked(dana, job)


def test_a_job_that_somebody_deleted_meanwhile_is_left_out(alice: User, dana: User) -> None:
    first, second = (make_job(alice, "failed", name=name) for name in ("First", "Second"))
    page = asked(alice, first, second)
    signed_in(dana).post(f"/jobs/{first.pk}/delete/")
    assert "1 job deleted." in sent(alice, page)
    assert not Job.objects.exists()


def test_what_somebody_else_deleted_is_said(alice: User) -> None:
    job = make_job(alice, "failed")
    page = asked(alice, job)
    Job.objects.all().delete()
    assert "The selected jobs were deleted meanwhile, or you can no longer see them." in sent(alice, page)
    assert "Select one or more jobs first." in signed_in(alice).post(PATH, follow=True).content.decode()


def test_a_dataset_that_was_deleted_before_is_said_to_go_with_its_last_job(alice: User) -> None:
    dataset = make_dataset(alice)
    dataset.transfers.all().delete()
    Dataset.objects.update(deleted_at=now())
    jobs = [make_job(alice, "failed", dataset=dataset) for _ in range(2)]

    def question() -> str:
        return signed_in(alice).get(f"/jobs/{jobs[0].pk}/").content.decode()

    assert "The dataset stays." in question()
    assert "The dataset stays." in asked(alice, jobs[0])
    both = asked(alice, *jobs)
    assert "Datasets that were deleted before go with their last job" in both
    sent(alice, asked(alice, jobs[1]))
    goes = "Its dataset, which was deleted before, goes with it."
    assert goes in question()
    page = asked(alice, jobs[0])
    assert goes in page
    assert "dataset stays" not in page + question()
    sent(alice, page)
    assert not Dataset.objects.exists()


def test_public_models_are_named_in_the_question(alice: User) -> None:
    public = make_job(alice, "ready", is_public=True, sent_at=now())
    page = asked(alice, public)
    assert "A public model stays usable by others until it is made private. Make it private first." in page
