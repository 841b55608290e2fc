"""Jobs and datasets move between projects; the table, the pages and the API name the project."""

from __future__ import annotations

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.datasets import versions
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.projects import services
from finetune_portal.projects.models import Project
from tests.gateway.api_client import DETAILS, LIST, SUBMIT, call, error_of, submit_body, token_of
from tests.people import form_data, make_dataset, make_job, signed_in


def project_of(name: str, admin: User, *members: User, private: bool = False) -> Project:
    project = services.add(name, actor=admin)
    for member in members:
        services.add_member(project, member, actor=admin)
    services.set_private(project, private=private, actor=admin)
    return project


@pytest.fixture
def winter(dana: User, alice: User) -> Project:
    return project_of("Winter", dana, alice)


@pytest.fixture
def secret(dana: User, alice: User) -> Project:
    return project_of("Secret", dana, alice, private=True)


def moves() -> list[tuple[str, str, str]]:
    rows = AuditEvent.objects.filter(action__in=("job.project", "dataset.project")).order_by("pk")
    return [(row.action, row.detail["before"], row.detail["after"]) for row in rows]


def test_a_member_moves_a_job_there_and_back(alice: User, winter: Project) -> None:
    job, client = make_job(alice, "ready"), signed_in(alice)
    for project in (winter, None):
        client.post(f"/jobs/{job.pk}/project/", {"project": project.pk if project else ""})
        job.refresh_from_db()
        assert job.project == project
    assert moves() == [("job.project", "the team", "Winter"), ("job.project", "Winter", "the team")]


def test_nobody_moves_what_is_anothers_or_to_where_they_do_not_work(
    alice: User, bob: User, winter: Project
) -> None:
    own, others = make_job(bob, "ready"), make_job(alice, "ready")
    client = signed_in(bob)
    assert client.post(f"/jobs/{others.pk}/project/", {"project": winter.pk}).status_code == 403
    page = client.post(f"/jobs/{own.pk}/project/", {"project": winter.pk}, follow=True)
    assert "You are not a member of this project." in page.content.decode()
    assert not Job.objects.exclude(project=None).exists()


def test_a_job_stays_where_its_private_dataset_is(alice: User, secret: Project, winter: Project) -> None:
    job = make_job(alice, "ready", dataset=make_dataset(alice, project=secret), project=secret)
    page = signed_in(alice).post(f"/jobs/{job.pk}/project/", {"project": winter.pk}, follow=True)
    assert "belongs to the private project “Secret”, so its jobs are there, too." in page.content.decode()
    job.refresh_from_db()
    assert job.project == secret


def test_a_dataset_moves_with_all_its_versions(alice: User, secret: Project) -> None:
    dataset = make_dataset(alice)
    version = versions.with_captions(dataset, {"01": "night"}, actor=alice)
    signed_in(alice).post(f"/datasets/{version.pk}/project/", {"project": secret.pk})
    assert [each.project for each in Dataset.objects.all()] == [secret, secret]
    assert moves() == [("dataset.project", "the team", "Secret")]


def test_a_dataset_that_jobs_elsewhere_show_does_not_become_private(
    alice: User, bob: User, secret: Project
) -> None:
    dataset = make_dataset(alice)
    job = make_job(bob, "ready", dataset=versions.with_captions(dataset, {"01": "a"}, actor=bob))
    page = signed_in(alice).post(f"/datasets/{dataset.pk}/project/", {"project": secret.pk}, follow=True)
    assert "Jobs outside of “Secret” were started with this dataset." in page.content.decode()
    assert not Dataset.objects.exclude(project=None).exists()
    Job.objects.filter(pk=job.pk).update(project=secret)
    signed_in(alice).post(f"/datasets/{dataset.pk}/project/", {"project": secret.pk})
    assert not Dataset.objects.filter(project=None).exists()


def test_leaving_a_private_project_is_asked_first(alice: User, secret: Project) -> None:
    job = make_job(alice, "ready", project=secret)
    page = signed_in(alice).get(f"/jobs/{job.pk}/").content.decode()
    assert f"Move “{job.name}” out of its private project?" in page


def test_the_table_filters_by_project_and_names_it(
    alice: User, bob: User, winter: Project, secret: Project
) -> None:
    make_job(alice, "ready", name="Coats", project=winter)
    make_job(alice, "ready", name="Hats", project=secret)
    page = signed_in(alice).get(f"/?project={winter.pk}").content.decode()
    assert "Coats" in page
    assert "Hats" not in page
    assert "<bdi>Winter</bdi>" in page
    services.rename(winter, "Spring", actor=User.objects.get(name="Dana"))
    assert "<bdi>Spring</bdi>" in signed_in(alice).get("/").content.decode()
    others = signed_in(bob).get(f"/?project={secret.pk}").content.decode()
    assert "Secret" not in others
    assert "Hats" not in others


def test_the_api_takes_a_project_by_its_name_and_names_it(
    alice: User, bob: User, winter: Project, secret: Project
) -> None:
    body = submit_body("https://example.com/a.zip", project="WINTER")
    token = token_of(alice, "train")
    assert call(token, "POST", SUBMIT, body).status_code == 200
    job = Job.objects.get()
    assert job.project == winter
    assert (
        call(token, "GET", DETAILS, {"request_id": str(job.form_key)}).json()["finetune"]["project"]
        == "Winter"
    )
    assert [each["project"] for each in call(token, "GET", LIST).json()] == ["Winter"]
    sentences = {
        error_of(call(token_of(bob, "train", name=name), "POST", SUBMIT, {**body, "project": name}))
        for name in ("Secret", "Winter", "Nowhere")
    }
    assert sentences == {"project: you are a member of no project of this name."}


def test_a_private_project_takes_a_persons_own_dataset_along(alice: User, secret: Project) -> None:
    """Unless a job elsewhere shows it."""
    fresh, used = make_dataset(alice), make_dataset(alice)
    make_job(alice, "ready", dataset=used)
    for dataset, expected in ((fresh, secret), (used, None)):
        signed_in(alice).post("/jobs/new/", form_data(dataset, project=secret.pk))
        dataset.refresh_from_db()
        assert dataset.project == expected
    assert Job.objects.filter(project=secret).count() == 2


def test_a_dataset_of_others_stays_where_it_is(alice: User, bob: User, secret: Project) -> None:
    dataset = make_dataset(bob)
    signed_in(alice).post("/jobs/new/", form_data(dataset, project=secret.pk))
    dataset.refresh_from_db()
    assert (dataset.project, Job.objects.get().project) == (None, secret)
