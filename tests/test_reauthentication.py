"""Which changes ask people to confirm who they are first, when their sign-in was long ago.

A session that somebody left open must not become a lasting way in: whatever gives or widens access asks. The
table is complete by introspection: a new URL that changes something fails until it has its line here.
"""

from __future__ import annotations

from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.db import transaction
from django.test import Client

from finetune_portal.accounts.models import Invitation, User
from finetune_portal.projects.models import Member, Project
from tests.people import PASSWORD, make_dataset, make_job, signed_in
from tests.test_access import Line, address, outcome, table
from tests.test_access import route_values as route_values

ASKS = """
    jobs:limits costs:budgets costs:change-budget costs:remove-budget
    accounts:invite accounts:role accounts:active accounts:password-link
    accounts:remove-second-factor connections:add connections:key connections:admin-key connections:default
    connections:switch projects:add-member projects:make-open notifications:add webhooks:rotate gateway:tokens
    mfa_activate_totp mfa_deactivate_totp mfa_add_webauthn mfa_remove_webauthn mfa_generate_recovery_codes
"""
# What gives nobody more than the session itself does, or asks for the password in its own form.
ASKS_NOT = """
    jobs:bulk jobs:display jobs:undo-archive jobs:save-view jobs:rename-view jobs:delete-view
    jobs:save-preset jobs:delete-preset jobs:new
    jobs:set-public jobs:set-best jobs:describe jobs:cancel jobs:withdraw jobs:connection jobs:decide
    jobs:approve jobs:decline
    registry:links registry:copy registry:copy-all deletion:job deletion:jobs
    deletion:model deletion:dataset deletion:project
    playground:panel playground:compare playground:without-lora playground:run-again playground:delete
    look datasets:code-page datasets:add-sample datasets:add-url
    datasets:captions datasets:repair datasets:rename datasets:delete
    datasets:transfer-again datasets:begin-upload datasets:upload accounts:profile accounts:password
    accounts:end-others accounts:end-session accounts:revoke accounts:unlock accounts:logout
    projects:add projects:rename projects:make-private projects:remove-member
    connections:test connections:try-now connections:rename notifications:history notifications:test
    notifications:switch notifications:remove webhooks:test gateway:revoke
"""
# Only what leaves a private project for where more people see it.
ASKS_SOMETIMES = "jobs:project datasets:project"
# They sign somebody in, or no session opens them.
WITHOUT_SESSION = """
    accounts:login accounts:setup accounts:oidc accounts:forgot accounts:new-password account_login
    account_reauthenticate mfa_authenticate mfa_reauthenticate mfa_reauthenticate_webauthn
    notifications:confirm webhooks:receive webhooks:receive-signed
    gateway:submit gateway:access-update gateway:run gateway:run-submit gateway:upload-asset csp-report
"""
CONFIRM = "/profile/confirm/"


def changes() -> list[Line]:
    return [line for line in table() if line.method not in ("GET", "HEAD")]


def test_every_change_has_its_line() -> None:
    assert sorted({line.name for line in changes()}) == sorted(
        f"{ASKS} {ASKS_NOT} {ASKS_SOMETIMES} {WITHOUT_SESSION}".split()
    )


def asks(client: Client, line: Line, route_values: dict[str, str]) -> bool:
    with transaction.atomic():
        response = client.generic(line.method, address(line.name, route_values))
        transaction.set_rollback(True)
    location = response.headers.get("Location", "")
    return "/confirm/" in location or "/reauthenticate/" in location


@pytest.mark.long
@pytest.mark.parametrize("has_password", [True, False], ids=["by password", "by the identity provider"])
@pytest.mark.parametrize(("minutes", "is_long_ago"), [(14, False), (16, True)])
def test_only_what_widens_access_asks_and_only_after_a_while(
    minutes: int,
    is_long_ago: bool,
    has_password: bool,
    route_values: dict[str, str],
    alice: User,
    dana: User,
    settings: Any,
) -> None:
    wrong = []
    if not has_password:
        settings.OIDC_ISSUER = "https://sso.example.com"
        for person in (alice, dana):
            person.set_unusable_password()
            person.save()
            SocialAccount.objects.create(user=person, provider="oidc", uid=str(person.pk))
    for person in (alice, dana):
        for line in changes():
            client = signed_in(person, minutes_ago=minutes)  # one of the changes signs out
            is_open = line.outcomes[2 if person == alice else 4] == "ok"
            if is_open and line.name not in WITHOUT_SESSION.split():
                expected = is_long_ago and line.name in ASKS.split()
                if asks(client, line, route_values) != expected:
                    wrong.append((person.name, line.name, expected))
    assert wrong == []


@pytest.mark.parametrize(
    ("before", "after", "is_wider"),
    [
        ("Secret", "", True),
        ("Secret", "Open", True),
        ("Secret", "Of more", True),
        ("Of more", "Secret", False),
        ("Secret", "Secret", False),
        ("Open", "", False),
        ("", "Open", False),
        ("", "Secret", False),
    ],
)
def test_what_leaves_a_private_project_for_more_people_asks(
    before: str, after: str, is_wider: bool, alice: User, bob: User
) -> None:
    for name, people in {"Open": [alice], "Secret": [alice], "Of more": [alice, bob]}.items():
        project = Project.objects.create(name=name, folded_name=name.lower(), is_private=name != "Open")
        for each in people:
            Member.objects.create(project=project, user=each)
    keys = {project.name: project.pk for project in Project.objects.all()}
    dataset, job = make_dataset(alice), make_job(alice, "ready")
    for path, row in ((f"/datasets/{dataset.pk}/", dataset), (f"/jobs/{job.pk}/", job)):
        type(row).objects.update(project=keys.get(before))
        headers = {"Referer": f"http://testserver{path}"}
        for minutes, is_asked in ((16, is_wider), (14, False)):
            client, fields = signed_in(alice, minutes_ago=minutes), {"project": keys.get(after, "")}
            answer = client.post(f"{path}project/", fields, headers=headers)
            location = answer.headers["Location"]
            assert location.startswith(CONFIRM if is_asked else path), (path, minutes)
            row.refresh_from_db()
            assert row.project_id == keys.get(before if is_asked else after)


def test_who_may_not_change_it_is_not_asked(route_values: dict[str, str], alice: User, bob: User) -> None:
    client = signed_in(bob, minutes_ago=60)
    for line in changes():
        if line.name in ASKS.split() and line.outcomes[3] == "no":
            assert outcome(client.generic(line.method, address(line.name, route_values))) == "no", line


def test_the_confirmation_leads_back_to_the_page(dana: User) -> None:
    client = signed_in(dana, minutes_ago=60)
    fields = {"role": "maker", "email": "eve@example.com"}
    asked = client.post("/team/invite/", fields, headers={"Referer": "http://testserver/team/"})
    assert asked.headers["Location"].startswith(CONFIRM)
    back = client.post(asked.headers["Location"], {"password": PASSWORD})
    assert back.headers["Location"].removeprefix("http://testserver") == "/team/"
    assert client.post("/team/invite/", fields).status_code == 200
    assert Invitation.objects.get().email == "eve@example.com"
