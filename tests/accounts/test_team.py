"""The team page: users, invitations, roles, deactivation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts import services
from finetune_portal.accounts.models import Invitation, User
from finetune_portal.audit.models import AuditEvent
from tests import databases, prepared
from tests.accounts.conftest import MailServer
from tests.people import PASSWORD, make_job, person, signed_in

ACTIONS = {
    "invite/": {"role": "maker"},
    "{pk}/role/": {"role": "admin"},
    "{pk}/active/": {},
    "{pk}/unlock/": {},
    "{pk}/password/": {},
    "{pk}/second-factor/": {},
}


def link_on(html: str) -> str:
    match = re.search(r"<code>http://[^/]+(/[^<]+)</code>", html)
    assert match
    return match[1]


def last_event() -> AuditEvent:
    return AuditEvent.objects.latest("pk")


@pytest.mark.parametrize("who", ["charlie", "alice", "dana"])
def test_everyone_sees_the_team_and_only_admins_the_actions(
    who: str, alice: User, charlie: User, dana: User, request: pytest.FixtureRequest
) -> None:
    make_job(alice)
    html = signed_in(request.getfixturevalue(who)).get("/team/").content.decode()
    for name in ("Alice", "Charlie", "Dana"):
        assert name in html
    assert "alice@example.com" in html
    assert ("Invite someone" in html) is (who == "dana")
    assert ("Deactivate" in html) is (who == "dana")


def test_the_number_of_queries_does_not_grow_with_the_team(
    dana: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        person(f"p{number}", User.Role.MAKER)
    client = signed_in(dana)
    client.get("/team/")
    with django_assert_max_num_queries(9):
        client.get("/team/")


def test_an_invitation_is_shown_once_and_creates_an_account(dana: User) -> None:
    admin = signed_in(dana)
    html = admin.post("/team/invite/", {"role": "viewer", "email": "Eve@example.com"}).content.decode()
    link = link_on(html)
    page = admin.get("/team/").content.decode()
    assert "eve@example.com" in page
    assert link not in page
    guest = Client()
    welcome = guest.get(link).content.decode()
    assert "Dana invites you as a viewer" in welcome
    assert 'value="eve@example.com"' in welcome
    guest.post(link, {"name": "Eve", "email": "eve@example.com", "password": PASSWORD})
    assert guest.get("/").status_code == 200
    eve = User.objects.get(email="eve@example.com")
    assert eve.role == "viewer"
    made = AuditEvent.objects.get(action="invitation.made")
    assert (made.actor, made.detail["role"]) == (dana, "viewer")
    assert Client().get(link).status_code == 410
    assert not Invitation.objects.exists()


def test_an_invitation_can_be_revoked(dana: User) -> None:
    link = link_on(signed_in(dana).post("/team/invite/", {"role": "maker"}).content.decode())
    pk = Invitation.objects.get().pk
    signed_in(dana).post(f"/team/invitations/{pk}/revoke/")
    assert Client().get(link).status_code == 410
    assert last_event().action == "invitation.revoked"


def test_the_end_of_an_invitation_is_in_the_viewers_own_time(dana: User) -> None:
    signed_in(dana).post("/team/invite/", {"role": "maker"})
    Invitation.objects.update(expires_at=datetime(2030, 5, 4, 23, 30, tzinfo=UTC))
    time = '<time datetime="2030-05-04T23:30:00+00:00" data-time="day">4 May</time>'
    assert f"until {time}" in signed_in(dana).get("/team/").content.decode()


def test_an_invitation_expires(dana: User) -> None:
    link = link_on(signed_in(dana).post("/team/invite/", {"role": "maker"}).content.decode())
    Invitation.objects.update(expires_at=now())
    assert Client().get(link).status_code == 410


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"role": "owner"}, "is not one of the available choices"),
        ({"role": "maker", "email": "eve@"}, "valid email"),
        ({"role": "maker", "email": "DANA@example.com"}, "already on the team"),
    ],
)
def test_an_invalid_invitation_has_an_error_message(data: dict[str, str], words: str, dana: User) -> None:
    answer = signed_in(dana).post("/team/invite/", data)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Invitation.objects.exists()


def test_with_a_mail_server_the_invitation_is_sent(dana: User, mail: MailServer) -> None:
    html = (
        signed_in(dana).post("/team/invite/", {"role": "maker", "email": "eve@example.com"}).content.decode()
    )
    assert "Sent to eve@example.com." in html
    (message,) = mail.mails
    assert message["To"] == "eve@example.com"
    shown = link_on(html)
    (mailed,) = re.findall(rf"{re.escape(shown)}\?\S+", message.get_payload())
    assert mailed not in html
    assert Client().get(mailed).status_code == 200
    Client().post(mailed, {"name": "Eve", "password": PASSWORD})
    assert User.objects.get(email="eve@example.com").is_email_verified


@pytest.mark.parametrize("proof", ["", "?mailed=", "?mailed=1", "?mailed=é"])
def test_a_link_that_an_admin_copies_proves_no_address(dana: User, mail: MailServer, proof: str) -> None:
    """Though it was sent by e-mail, too: whoever has it got it by hand."""
    html = (
        signed_in(dana).post("/team/invite/", {"role": "maker", "email": "eve@example.com"}).content.decode()
    )
    Client().post(f"{link_on(html)}{proof}", {"name": "Eve", "password": PASSWORD})
    assert not User.objects.get(email="eve@example.com").is_email_verified


def test_without_the_mail_server_the_page_has_the_link_and_a_message(dana: User, settings: Any) -> None:
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", 1, False
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    html = (
        signed_in(dana).post("/team/invite/", {"role": "maker", "email": "eve@example.com"}).content.decode()
    )
    assert "did not accept the e-mail" in html
    assert link_on(html).startswith("/setup/")


def test_a_role_counts_at_the_next_request(dana: User, alice: User) -> None:
    maker = signed_in(alice)
    assert maker.get("/jobs/new/").status_code == 200
    signed_in(dana).post(f"/team/{alice.pk}/role/", {"role": "viewer"})
    assert maker.get("/jobs/new/").status_code == 403
    event = last_event()
    assert (event.action, event.actor) == ("account.role", dana)
    assert (event.detail["before"], event.detail["after"]) == ("maker", "viewer")


def test_an_unknown_role_is_refused(dana: User, alice: User) -> None:
    assert signed_in(dana).post(f"/team/{alice.pk}/role/", {"role": "owner"}).status_code == 422
    alice.refresh_from_db()
    assert alice.role == "maker"


def test_of_two_invitations_with_one_e_mail_the_second_is_refused_with_a_sentence(dana: User) -> None:
    """At one moment: both forms found the e-mail free."""
    links = [services.invite("maker", email="", actor=dana) for _ in range(2)]
    first, second = (services.open_invitation(link.rstrip("/").rpartition("/")[2]) for link in links)
    assert first
    assert second
    assert services.accept(first, email="erin@example.com", name="Erin", password=PASSWORD)
    with pytest.raises(services.EmailTakenError):
        services.accept(second, email="erin@example.com", name="Erin", password=PASSWORD)
    assert services.open_invitation(links[1].rstrip("/").rpartition("/")[2]) == second, "it is not used up"


def test_deactivation_ends_access_at_once_and_keeps_the_work(dana: User, alice: User) -> None:
    job = make_job(alice)
    maker = Client()
    maker.post("/login/", {"username": alice.email, "password": PASSWORD})
    assert maker.get("/").status_code == 200
    signed_in(dana).post(f"/team/{alice.pk}/active/")
    assert maker.get("/").headers["Location"].startswith("/login/")
    assert (last_event().action, last_event().detail["before"]) == ("account.deactivated", "active")
    refused = Client().post("/login/", {"username": alice.email, "password": PASSWORD})
    assert refused.status_code == 422
    job.refresh_from_db()
    assert job.owner == alice
    assert "Deactivated" in signed_in(dana).get("/team/").content.decode()
    signed_in(dana).post(f"/team/{alice.pk}/active/", {"on": "on"})
    assert last_event().action == "account.reactivated"
    again = Client()
    again.post("/login/", {"username": alice.email, "password": PASSWORD})
    assert again.get("/").status_code == 200


@pytest.mark.parametrize(("action", "data"), [("role", {"role": "maker"}), ("active", {})])
def test_the_last_admin_stays(action: str, data: dict[str, str], dana: User) -> None:
    html = signed_in(dana).post(f"/team/{dana.pk}/{action}/", data, follow=True).content.decode()
    assert "Dana is the only active admin" in html
    dana.refresh_from_db()
    assert dana.can_administer
    assert not AuditEvent.objects.exists()


def test_an_inactive_admin_does_not_count(dana: User) -> None:
    other = person("erin", User.Role.ADMIN)
    services.deactivate(other, actor=dana)
    with pytest.raises(services.LastAdminError):
        services.set_role(dana, "maker", actor=dana)


def test_two_admins_who_demote_each_other_leave_one(tmp_path: Path) -> None:
    """Runs in a process of its own: the database in memory has no second connection."""
    if not databases.URL:
        prepared.lay_out(tmp_path)
    own = {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": "",
        "DJANGO_SETTINGS_MODULE": "finetune_portal.settings",
    }
    command = [sys.executable, "-m", "tests.accounts.concurrent_demotion"]
    result = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, check=False)
    assert result.stdout == "1 " * 20, result.stderr


def test_a_link_to_a_new_password_works_once_and_ends_all_sessions(dana: User, alice: User) -> None:
    maker = signed_in(alice)
    maker.get("/")
    link = link_on(signed_in(dana).post(f"/team/{alice.pk}/password/").content.decode())
    event = last_event()
    assert (event.action, event.actor) == ("account.password_link", dana)
    assert link.split("/")[-2] not in str(event.detail)
    guest = Client()
    page = guest.get(link, follow=True)
    form = page.redirect_chain[-1][0]
    assert guest.post(form, {"password": "short"}).status_code == 422
    html = guest.post(form, {"password": "a brand new battery"}, follow=True).content.decode()
    assert "Your new password is set" in html
    assert maker.get("/").status_code == 302
    assert Client().get(link, follow=True).status_code == 410
    again = Client()
    again.post("/login/", {"username": alice.email, "password": "a brand new battery"})
    assert again.get("/").status_code == 200


@pytest.mark.parametrize("action", [action for action in ACTIONS if "{pk}" in action])
def test_an_unknown_user_is_404(action: str, dana: User) -> None:
    assert signed_in(dana).post("/team/" + action.format(pk=9999), ACTIONS[action]).status_code == 404


@pytest.mark.parametrize("way", ["demoted", "deactivated"])
def test_the_invitations_of_a_former_admin_are_revoked(way: str, alice: User, dana: User) -> None:
    """Otherwise a leaving admin could create a link first and come back with it."""
    eve = person("eve", User.Role.ADMIN)
    link = services.invite("admin", email="", actor=eve).partition("127.0.0.1:8000")[2]
    stays = services.invite("maker", email="", actor=dana).partition("127.0.0.1:8000")[2]
    if way == "demoted":
        services.set_role(eve, User.Role.MAKER, actor=dana)
    else:
        services.deactivate(eve, actor=dana)
    assert Client().get(link).status_code == 410
    assert Client().get(stays).status_code == 200
    assert (last_event().action, last_event().actor) == ("invitation.revoked", dana)
