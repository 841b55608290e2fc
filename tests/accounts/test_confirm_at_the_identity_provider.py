"""Who has no password confirms who they are by a new sign-in at the identity provider."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from finetune_portal.accounts.models import Invitation, User
from finetune_portal.audit.models import AuditEvent
from tests.accounts.identity_provider import ScriptedIdentityProvider, authorization_url, query_of

pytestmark = pytest.mark.django_db
FIELDS = {"role": "maker", "email": "eve@example.com"}
CONFIRM = "/profile/confirm/?next=http%3A%2F%2Ftestserver%2Fteam%2F"


def come_back(client: Client, scripted: ScriptedIdentityProvider, **claims: Any) -> Any:
    """Press the button of a page, and return from the identity provider with these claims."""
    return finish(client, scripted, authorization_url(client, next="/team/"), **claims)


def finish(client: Client, scripted: ScriptedIdentityProvider, address: str, **claims: Any) -> Any:
    query = query_of(address)
    scripted.prepare({"nonce": query["nonce"], **claims})
    return client.get(f"/login/oidc/callback/?code=c&state={query['state']}")


def list_auth_time(scripted: ScriptedIdentityProvider) -> None:
    scripted.claims_supported = ("auth_time",)
    scripted.discover(scripted.issuer)


@pytest.fixture
def erin(scripted: ScriptedIdentityProvider) -> Client:
    """An admin without a password, who signed in an hour ago."""
    client = Client()
    come_back(client, scripted)
    User.objects.update(role=User.Role.ADMIN)
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY][0]["at"] -= 3600
    session.save()
    return client


def invite(client: Client) -> Any:
    return client.post("/team/invite/", FIELDS, headers={"Referer": "http://testserver/team/"})


def test_a_new_sign_in_there_confirms(erin: Client, scripted: ScriptedIdentityProvider) -> None:
    assert invite(erin).headers["Location"] == CONFIRM
    html = erin.get(CONFIRM).content.decode()
    assert "Sign in again with" in html
    assert 'name="next" value="http://testserver/team/"' in html
    list_auth_time(scripted)
    asked = query_of(authorization_url(erin, next="/team/"))
    assert (asked["max_age"], asked["prompt"]) == ("0", "login")

    before = erin.session.session_key
    assert come_back(erin, scripted, auth_time=int(time.time())).headers["Location"] == "/team/"
    assert invite(erin).status_code == 200
    assert Invitation.objects.get().email == "eve@example.com"
    assert erin.session.session_key != before
    assert AuditEvent.objects.filter(action="session.confirmed").count() == 1


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"auth_time": int(time.time()) - 3600}, "did not ask you to sign in again"),
        ({"sub": "s-2", "userinfo_sub": "s-2"}, "account that you are signed in with here"),
    ],
)
def test_another_sign_in_does_not(
    claims: dict[str, Any], sentence: str, erin: Client, scripted: ScriptedIdentityProvider
) -> None:
    answer = come_back(erin, scripted, **claims)
    assert answer.status_code == 403
    assert sentence in answer.content.decode()
    assert invite(erin).headers["Location"] == CONFIRM
    assert User.objects.count() == 1


def test_one_that_can_say_the_time_and_does_not_confirms_nothing(
    erin: Client, scripted: ScriptedIdentityProvider
) -> None:
    """Without `max_age`, which the user of a browser can take out of the address, it need not say it."""
    list_auth_time(scripted)
    answer = come_back(erin, scripted)
    assert answer.status_code == 403
    assert "ask an admin: the claim auth_time is missing" in answer.content.decode()
    assert invite(erin).headers["Location"] == CONFIRM

    erin.post("/logout/")
    assert come_back(erin, scripted).headers["Location"] == "/team/"
    assert invite(erin).headers["Location"] == CONFIRM


def test_that_of_somebody_else_does_not(erin: Client, bob: User, scripted: ScriptedIdentityProvider) -> None:
    uid = hashlib.sha256(f"{scripted.issuer} s-2".encode()).hexdigest()
    SocialAccount.objects.create(user=bob, provider="oidc", uid=uid)
    assert come_back(erin, scripted, sub="s-2", userinfo_sub="s-2").status_code == 403
    assert invite(erin).headers["Location"] == CONFIRM


def test_one_that_does_not_say_the_time_is_not_sent_what_it_may_refuse(
    erin: Client, scripted: ScriptedIdentityProvider
) -> None:
    asked = query_of(authorization_url(erin))
    assert (asked["max_age"], "prompt" in asked) == ("0", False)
    assert come_back(erin, scripted).headers["Location"] == "/team/"
    assert invite(erin).status_code == 200


def test_a_sign_in_is_as_old_as_the_one_there(scripted: ScriptedIdentityProvider) -> None:
    """Signing out and in again, which asks for nothing there, is no confirmation."""
    client = Client()
    come_back(client, scripted, auth_time=int(time.time()) - 3600)
    User.objects.update(role=User.Role.ADMIN)
    assert invite(client).headers["Location"] == CONFIRM


def test_one_begun_before_another_ended_is_as_old_as_it_says(
    erin: Client, scripted: ScriptedIdentityProvider
) -> None:
    """Two tabs: the second sign-in ends the session of the first and begins its own."""
    erin.post("/logout/")
    first, second = (authorization_url(erin, next="/team/") for _ in range(2))
    finish(erin, scripted, first, auth_time=int(time.time()) - 3600)
    before = erin.session.session_key
    answer = finish(erin, scripted, second, auth_time=int(time.time()) - 3600)
    assert answer.headers["Location"] == "/team/"
    assert erin.session.session_key != before
    assert invite(erin).headers["Location"] == CONFIRM
