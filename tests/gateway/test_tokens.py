"""The page of personal tokens: make, see and revoke them, and what a token can do afterwards."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.gateway.forms import TokenForm
from finetune_portal.gateway.models import PersonalToken
from finetune_portal.gateway.services import find_token
from tests.gateway.api_client import ALL, LIST, PRESIGNED, call, error_of, row_of, token_of
from tests.people import PASSWORD, just_signed_in, signed_in

PAGE = "/tokens/"
TOKEN = re.compile(r"ftp_[A-Za-z0-9]{32}[0-9a-f]{8}")


def make(user: User, **fields: Any) -> HttpResponse:
    return just_signed_in(user).post(PAGE, {"name": "nightly", "days": "30", **fields})


def shown(response: HttpResponse) -> str:
    match = TOKEN.search(response.content.decode())
    assert match
    return match[0]


def test_a_token_is_shown_once_and_only_its_hash_is_kept(alice: User) -> None:
    text = shown(make(alice, rights=["train", "download"]))
    row = PersonalToken.objects.get()
    assert find_token(text) == row
    assert (row.rights, row.effective_rights) == (["download", "train"], ["Read", "Train", "Download"])
    assert timedelta(days=29) < row.expires_at - now() < timedelta(days=31)
    assert text not in str([PersonalToken.objects.values(), AuditEvent.objects.values()])

    page = signed_in(alice).get(PAGE).content.decode()
    assert not TOKEN.search(page)
    assert f"ftp_…{text[-4:]}" in page
    event = AuditEvent.objects.get(action="token.make")
    assert event.actor == alice
    assert event.detail["rights"] == "download train"


def test_a_name_is_needed_and_nothing_ticked_is_lost(alice: User) -> None:
    response = make(alice, name="", rights=["publish"], days="365")
    assert response.status_code == 422
    html = response.content.decode()
    assert "Enter a name, so that you know later what uses the token." in html
    assert re.search(r'value="publish"[^>]*checked', html)
    assert re.search(r'value="365" selected', html)
    assert not PersonalToken.objects.exists()


@pytest.mark.parametrize("fields", [{"rights": ["everything"]}, {"days": "4000"}])
def test_what_the_form_does_not_offer_is_refused(alice: User, fields: dict[str, Any]) -> None:
    assert make(alice, **fields).status_code == 422


def test_the_help_of_a_wrong_field_stays_linked(alice: User) -> None:
    form = TokenForm({"name": "", "days": "30"}, user=alice)
    form.fields["name"].help_text = "What uses it?"
    assert not form.is_valid()
    field = str(form["name"])
    assert 'aria-describedby="id_name_helptext id_name_error"' in field
    assert 'aria-invalid="true"' in field


def test_a_token_may_have_no_end(alice: User) -> None:
    make(alice, days="")
    assert PersonalToken.objects.get().expires_at is None


def test_a_lent_browser_makes_none(alice: User) -> None:
    """A token outlasts the visit, so a sign-in of long ago is not enough."""
    client = signed_in(alice, minutes_ago=60)
    assert "confirm first that it is you" in client.get(PAGE).content.decode()
    page = {"Referer": f"http://testserver{PAGE}"}
    answer = client.post(PAGE, {"name": "nightly", "days": "30"}, headers=page)
    assert answer.headers["Location"] == f"/profile/confirm/?next={quote(page['Referer'], safe='')}"
    assert not PersonalToken.objects.exists()
    confirmed = client.post(answer.headers["Location"], {"password": PASSWORD})
    assert confirmed.headers["Location"] == page["Referer"]
    shown(client.post(PAGE, {"name": "nightly", "days": "30"}))


def test_a_viewers_token_only_reads(charlie: User) -> None:
    make(charlie, rights=["train"])
    assert PersonalToken.objects.get().effective_rights == ["Read"]
    assert "your tokens can only read" in just_signed_in(charlie).get(PAGE).content.decode()


def test_it_needs_login() -> None:
    for path in (PAGE, "/api/", "/tokens/1/revoke/"):
        for response in (Client().get(path), Client().post(path)):
            assert response.headers["Location"].startswith("/login/")


def test_revoking_ends_it_at_once(alice: User) -> None:
    text = token_of(alice)
    address = reverse("gateway:revoke", args=[row_of(text).pk])
    assert call(text, "GET", LIST).status_code == 200
    assert signed_in(alice).post(address).status_code == 302
    answer = call(text, "GET", LIST)
    assert (answer.status_code, error_of(answer)) == (401, "This token was revoked.")
    assert AuditEvent.objects.get(action="token.revoke").actor == alice
    assert text[-4:] not in signed_in(alice).get(PAGE).content.decode()


def test_others_see_and_revoke_it_only_as_admins(alice: User, bob: User, dana: User) -> None:
    text = token_of(alice, name="of alice")
    address = reverse("gateway:revoke", args=[row_of(text).pk])
    assert "of alice" not in signed_in(bob).get(PAGE).content.decode()
    assert signed_in(bob).post(address).status_code == 404
    assert find_token(text).problem == ""
    assert "of alice" in signed_in(dana).get(PAGE).content.decode()
    signed_in(dana).post(address)
    assert find_token(text).problem == "This token was revoked."
    event = AuditEvent.objects.get(action="token.revoke")
    assert (event.actor, event.detail["owner"]) == (dana, alice.email)


@pytest.mark.parametrize("text", ["", "nonsense", "ftp_", "ftp_" + "a" * 40, "fTp_ümläut"])
def test_an_unknown_token_is_refused(db: None, text: str) -> None:
    answer = call(text, "GET", LIST)
    assert answer.status_code == 401
    assert "x-api-key" in error_of(answer)


def test_an_expired_token_is_refused(alice: User) -> None:
    text = token_of(alice, days=30)
    PersonalToken.objects.update(expires_at=now() - timedelta(seconds=1))
    answer = call(text, "GET", LIST)
    assert (answer.status_code, error_of(answer)) == (401, "This token has expired.")


def test_a_token_has_no_more_rights_than_its_person_has_now(alice: User) -> None:
    text = token_of(alice, *ALL)
    assert call(text, "GET", PRESIGNED, {"name": "a.zip"}).status_code == 200
    User.objects.update(role=User.Role.VIEWER)
    assert call(text, "GET", PRESIGNED, {"name": "a.zip"}).status_code == 403
    assert call(text, "GET", LIST).status_code == 200
    User.objects.update(is_active=False)
    answer = call(text, "GET", LIST)
    assert (answer.status_code, error_of(answer)) == (401, "The account of this token is deactivated.")


def test_its_last_use_is_written_once_a_minute(alice: User) -> None:
    text = token_of(alice)
    call(text, "GET", LIST)
    first = row_of(text).last_used_at
    assert first is not None
    call(text, "GET", LIST)
    assert row_of(text).last_used_at == first
    PersonalToken.objects.update(last_used_at=first - timedelta(minutes=2))
    call(text, "GET", LIST)
    assert row_of(text).last_used_at > first


def test_too_many_calls_a_minute_are_refused(alice: User, settings: Any) -> None:
    settings.TOKEN_CALLS = 1
    text, other = token_of(alice), token_of(alice)
    answers = [call(text, "GET", LIST) for _ in range(3)]  # three, for the minute may turn once
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
    assert call(other, "GET", LIST).status_code == 200


def test_a_nul_in_the_query_is_refused_as_any_other_fault(alice: User) -> None:
    """PostgreSQL refuses to search for one. A page answers with HTML, a call with JSON."""
    response = call(token_of(alice, *ALL), "GET", f"{LIST}?status=a%00b")
    assert (response.status_code, error_of(response)) == (400, "The query of the call has a NUL.")
    nowhere = Client().get("/finetune/nowhere?status=a%00b")
    assert (nowhere.status_code, nowhere.headers["Content-Type"]) == (404, "application/json")
