"""An e-mail that nobody proved is no identity: whoever typed it first does not keep its owner's account."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.gateway import services as gateway
from finetune_portal.notifications.models import Channel
from finetune_portal.web.encryption import encrypt
from tests.accounts.identity_provider import IdentityProvider
from tests.accounts.test_single_sign_on import identity_provider as identity_provider
from tests.accounts.test_single_sign_on import roles_by_group as roles_by_group
from tests.accounts.test_single_sign_on import sign_in
from tests.accounts.test_single_sign_on import single_sign_on_enabled as single_sign_on_enabled
from tests.accounts.test_team import link_on
from tests.people import PASSWORD, signed_in

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("roles_by_group")
@pytest.mark.parametrize("is_verified", [True, False])
def test_who_made_an_account_under_the_e_mail_of_another_loses_it_to_the_owner(
    is_verified: bool, identity_provider: IdentityProvider, alice: User, settings: Any
) -> None:
    """Nobody proved the e-mail, or the role rises: no session, password or token of before gets in again."""
    settings.OIDC_LINK_BY_EMAIL = True
    User.objects.filter(pk=alice.pk).update(is_email_verified=is_verified)
    stranger = signed_in(alice)
    assert stranger.get("/profile/").status_code == 200
    token = gateway.new_token(owner=alice, name="t", rights=["train"], days=None)[1]
    Channel.objects.create(owner=alice, kind="email", display_address="x", encrypted_address=encrypt("x"))
    SocialAccount.objects.create(user=alice, provider="oidc", uid="of-the-stranger")
    subject = f"sub-owner-{is_verified}"
    claims = {"email": alice.email, "email_verified": True, "groups": ["/portal-admins"]}
    identity_provider.add_user(subject, **claims)
    owner, answer = sign_in(identity_provider, subject)
    assert answer.headers["Location"] == "/"
    assert "You sign in with Keycloak from now on" in owner.get("/").content.decode()
    assert owner.get("/audit/").status_code == 200
    assert stranger.get("/audit/").headers["Location"].startswith("/login/")
    again = Client().post("/login/", {"username": alice.email, "password": PASSWORD})
    assert again.status_code == 422
    assert gateway.find_token(token).problem == "This token was revoked."
    assert not Channel.objects.exists()
    assert not SocialAccount.objects.filter(uid="of-the-stranger").exists()
    assert SocialAccount.objects.get().user == alice
    assert AuditEvent.objects.filter(action="account.other_ways_ended").exists()
    _, answer = sign_in(identity_provider, subject)
    assert answer.headers["Location"] == "/", "the next sign-in ends nothing"
    assert AuditEvent.objects.filter(action="account.other_ways_ended").count() == 1


def test_a_proven_account_keeps_its_password_when_it_is_connected(
    identity_provider: IdentityProvider, alice: User, settings: Any
) -> None:
    settings.OIDC_LINK_BY_EMAIL = True
    User.objects.filter(pk=alice.pk).update(is_email_verified=True)
    identity_provider.add_user("sub-proven", email=alice.email, email_verified=True)
    sign_in(identity_provider, "sub-proven")
    answer = Client().post("/login/", {"username": alice.email, "password": PASSWORD})
    assert answer.headers["Location"] == "/"


def test_an_invitation_for_an_e_mail_makes_no_account_with_another(
    identity_provider: IdentityProvider, dana: User
) -> None:
    fields = {"role": "maker", "email": "intern@example.com"}
    link = link_on(signed_in(dana).post("/team/invite/", fields).content.decode())
    identity_provider.add_user("sub-boss", email="boss@example.com", email_verified=True)
    _, answer = sign_in(identity_provider, "sub-boss", invitation=link.split("/")[-2])
    assert answer.status_code == 403
    assert "This invitation is for intern@example.com" in answer.content.decode()
    client = Client()
    assert 'value="intern@example.com"' in client.get(link).content.decode()
    client.post(link, {"name": "Intern", "email": "boss@example.com", "password": PASSWORD})
    assert not User.objects.filter(email="boss@example.com").exists()
    assert not User.objects.get(email="intern@example.com").is_email_verified, "nothing was sent to it"
