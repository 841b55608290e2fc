"""Admins make projects and choose their members; everyone sees who works on what."""

from __future__ import annotations

import pytest
from django.test import Client

from finetune_portal.accounts import services as accounts
from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.projects import services
from finetune_portal.projects.models import Member, Project
from tests.people import signed_in


@pytest.fixture
def project(dana: User) -> Project:
    return services.add("Winter", actor=dana)


def lines() -> list[tuple[str, str]]:
    rows = AuditEvent.objects.filter(action__startswith="project.").order_by("pk")
    return [(row.action, row.detail.get("person", "")) for row in rows]


def test_an_admin_makes_a_project_and_adds_a_member(dana: User, alice: User) -> None:
    client = signed_in(dana)
    page = client.post("/settings/projects/add/", {"name": " Winter  2027 "}).headers["Location"]
    assert Project.objects.get().name == "Winter 2027"
    assert client.post(f"{page}members/", {"person": alice.pk}).headers["Location"] == page
    assert Member.objects.get().user == alice
    assert "Alice" in signed_in(alice).get(page).content.decode()
    assert lines() == [("project.add", ""), ("project.member-added", "Alice <alice@example.com>")]


@pytest.mark.parametrize("name", ["winter", "WINTER", "Winter"])
def test_two_projects_have_two_names_whatever_their_case(name: str, dana: User, project: Project) -> None:
    answer = signed_in(dana).post("/settings/projects/add/", {"name": name})
    assert answer.status_code == 422
    assert "Another project has this name." in answer.content.decode()
    assert Project.objects.get() == project


def test_names_in_other_scripts_differ_without_case_too(dana: User) -> None:
    services.add("Зима", actor=dana)
    with pytest.raises(services.NameTakenError):
        services.add("ЗИМА", actor=dana)


def test_a_project_keeps_its_own_name_in_another_case(dana: User, project: Project) -> None:
    services.add("Summer", actor=dana)
    client = signed_in(dana)
    client.post(f"/settings/projects/{project.pk}/rename/", {"name": "WINTER"})
    assert client.post(f"/settings/projects/{project.pk}/rename/", {"name": "summer"}).status_code == 422
    project.refresh_from_db()
    assert project.name == "WINTER"


def test_nobody_is_a_member_twice(dana: User, alice: User, project: Project) -> None:
    client = signed_in(dana)
    services.add_member(project, alice, actor=dana)
    services.add_member(project, alice, actor=dana)
    assert client.post(f"/settings/projects/{project.pk}/members/", {"person": alice.pk}).status_code == 422
    assert Member.objects.count() == 1
    assert [action for action, _ in lines()] == ["project.add", "project.member-added"]


def test_leaving_the_team_ends_memberships(dana: User, alice: User, bob: User, project: Project) -> None:
    for person in (alice, bob):
        services.add_member(project, person, actor=dana)
    accounts.deactivate(alice, actor=dana)
    accounts.reactivate(alice, actor=dana)
    assert [member.user for member in Member.objects.all()] == [bob]
    assert lines()[-1] == ("project.member-removed", "Alice <alice@example.com>")


def test_who_has_left_the_team_cannot_be_added(dana: User, alice: User, project: Project) -> None:
    accounts.deactivate(alice, actor=dana)
    answer = signed_in(dana).post(f"/settings/projects/{project.pk}/members/", {"person": alice.pk})
    assert "This person is a member already, or has left the team." in answer.content.decode()
    assert not Member.objects.exists()


def test_a_maker_sees_projects_and_changes_none(alice: User, project: Project) -> None:
    client: Client = signed_in(alice)
    page = client.get("/settings/projects/").content.decode()
    assert "Winter" in page
    assert "Add a project" not in page
    assert "Rename" not in client.get(f"/settings/projects/{project.pk}/").content.decode()
