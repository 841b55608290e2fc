"""OpenID Connect with a real identity provider: who may sign in, with which role, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from tests.accounts.identity_provider import (
    IdentityProvider,
    authorization_url,
    enable_single_sign_on,
    query_of,
    running_identity_provider,
)
from tests.accounts.test_team import link_on
from tests.people import PASSWORD, signed_in

pytestmark = pytest.mark.django_db
ERIN = {"email": "erin@example.com", "name": "Erin Brook", "email_verified": True}


@pytest.fixture(scope="module")
def identity_provider() -> Iterator[IdentityProvider]:
    with running_identity_provider() as running:
        yield running


@pytest.fixture(autouse=True)
def single_sign_on_enabled(identity_provider: IdentityProvider, settings: Any) -> None:
    enable_single_sign_on(settings, identity_provider.issuer)


@pytest.fixture
def roles_by_group(settings: Any) -> None:
    settings.OIDC_GROUPS = {"admin": ["/portal-admins"], "maker": ["/artists"], "viewer": ["/guests"]}


def sign_in(
    identity_provider: IdentityProvider, subject: str, client: Client | None = None, **data: str
) -> tuple[Client, Any]:
    """Sign in as a browser does, from the button to the callback."""
    client = client or Client()
    return client, client.get(identity_provider.authorize(authorization_url(client, **data), subject))


def test_the_authorization_url_has_state_nonce_and_challenge(identity_provider: IdentityProvider) -> None:
    address = authorization_url(Client(), next="/datasets/")
    query = query_of(address)
    assert address.startswith(f"{identity_provider.issuer}/oauth2/authorize?")
    assert query["redirect_uri"] == "http://testserver/login/oidc/callback/"
    assert query["code_challenge_method"] == "S256"
    assert len(query["nonce"]) >= 20
    assert len(query["state"]) >= 16
    assert set(query["scope"].split()) == {"openid", "profile", "email"}
    assert Client().get("/login/oidc/").status_code == 405


def test_the_sign_in_page_offers_single_sign_on() -> None:
    html = Client().get("/login/").content.decode()
    assert "Sign in with Keycloak" in html
    assert "Password" in html


@pytest.mark.usefixtures("roles_by_group")
@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["/artists"], "maker"),
        (["/guests", "/artists", "/others"], "maker"),
        (["/guests", "/portal-admins"], "admin"),
        ("/guests", "viewer"),
    ],
)
def test_groups_give_the_role(groups: Any, role: str, identity_provider: IdentityProvider) -> None:
    identity_provider.add_user("sub-1", **ERIN, groups=groups)
    client, answer = sign_in(identity_provider, "sub-1", next="/datasets/")
    assert answer.headers["Location"] == "/datasets/"
    assert client.get("/").status_code == 200
    erin = User.objects.get()
    assert (erin.email, erin.name, erin.role) == ("erin@example.com", "Erin Brook", role)
    assert not erin.has_usable_password()
    rows = [(event.action, event.detail["by"]) for event in AuditEvent.objects.order_by("pk")]
    expected = [
        ("account.created", "Keycloak"),
        ("account.connected", "Keycloak"),
        ("session.began", "socialaccount"),
    ]
    assert rows == expected


@pytest.mark.usefixtures("roles_by_group")
def test_the_role_follows_the_groups_at_each_sign_in(identity_provider: IdentityProvider, dana: User) -> None:
    identity_provider.add_user("sub-2", **ERIN, groups=["/artists"])
    sign_in(identity_provider, "sub-2")
    identity_provider.add_user("sub-2", **ERIN, groups=["/guests"])
    sign_in(identity_provider, "sub-2")
    assert User.objects.get(email=ERIN["email"]).role == "viewer"
    event = AuditEvent.objects.get(action="account.role")
    assert (event.detail["before"], event.detail["after"]) == ("maker", "viewer")
    identity_provider.add_user("sub-2", **ERIN, groups=[])
    client, answer = sign_in(identity_provider, "sub-2")
    assert answer.status_code == 403
    assert "none of the groups" in answer.content.decode()
    assert client.get("/").status_code == 302


@pytest.mark.usefixtures("roles_by_group")
def test_the_last_admin_stays_one_whatever_the_groups_say(identity_provider: IdentityProvider) -> None:
    identity_provider.add_user("sub-3", **ERIN, groups=["/portal-admins"])
    sign_in(identity_provider, "sub-3")
    identity_provider.add_user("sub-3", **ERIN, groups=["/guests"])
    sign_in(identity_provider, "sub-3")
    assert User.objects.get().role == "admin"


@pytest.mark.usefixtures("roles_by_group")
def test_a_user_in_no_group_becomes_a_viewer_where_all_are_admitted(
    identity_provider: IdentityProvider, settings: Any
) -> None:
    identity_provider.add_user("sub-4", **ERIN)
    assert sign_in(identity_provider, "sub-4")[1].status_code == 403
    assert not User.objects.exists()
    settings.OIDC_ADMIT_ALL = True
    sign_in(identity_provider, "sub-4")
    assert User.objects.get().role == "viewer"


def test_without_groups_a_new_user_needs_an_invitation(
    identity_provider: IdentityProvider, dana: User
) -> None:
    identity_provider.add_user("sub-5", **ERIN)
    _, answer = sign_in(identity_provider, "sub-5")
    assert answer.status_code == 403
    assert "Ask an admin for an invitation" in answer.content.decode()
    link = link_on(signed_in(dana).post("/team/invite/", {"role": "maker"}).content.decode())
    assert "Join with Keycloak" in Client().get(link).content.decode()
    client, answer = sign_in(identity_provider, "sub-5", invitation=link.split("/")[-2])
    assert answer.headers["Location"] == "/"
    assert client.get("/").status_code == 200
    assert User.objects.get(email=ERIN["email"]).role == "maker"
    assert Client().get(link).status_code == 410


def test_the_same_e_mail_is_not_the_same_person(identity_provider: IdentityProvider, alice: User) -> None:
    identity_provider.add_user("sub-6", email=alice.email, email_verified=True)
    _, answer = sign_in(identity_provider, "sub-6")
    assert answer.status_code == 403
    assert "then connect Keycloak on your profile" in answer.content.decode()


@pytest.mark.parametrize(("verified", "status"), [(True, 302), (False, 403)])
def test_a_verified_e_mail_connects_where_the_operator_trusts_it(
    verified: bool, status: int, identity_provider: IdentityProvider, alice: User, settings: Any
) -> None:
    settings.OIDC_LINK_BY_EMAIL = True
    identity_provider.add_user(f"sub-7-{verified}", email=alice.email.upper(), email_verified=verified)
    _, answer = sign_in(identity_provider, f"sub-7-{verified}")
    assert answer.status_code == status
    assert alice.socialaccount_set.count() == int(verified)  # type: ignore[attr-defined]


def test_connecting_needs_reauthentication(identity_provider: IdentityProvider, alice: User) -> None:
    """On a borrowed browser, the connection would be a lasting way to sign in."""
    answer = signed_in(alice, minutes_ago=60).post("/login/oidc/", {"next": "/profile/"})
    assert answer.headers["Location"] == "/profile/confirm/?next=%2Fprofile%2F"


def test_a_user_connects_single_sign_on_on_the_profile(
    identity_provider: IdentityProvider, alice: User, bob: User
) -> None:
    identity_provider.add_user("sub-8", email="elsewhere@example.com")
    client = Client()
    client.post("/login/", {"username": alice.email, "password": PASSWORD})
    assert "Connect" in client.get("/profile/").content.decode()
    _, answer = sign_in(identity_provider, "sub-8", client, next="/profile/")
    assert answer.headers["Location"] == "/profile/"
    assert "Connected" in client.get("/profile/").content.decode()
    assert AuditEvent.objects.filter(action="account.connected", actor=alice).exists()
    visitor, answer = sign_in(identity_provider, "sub-8")
    assert answer.headers["Location"] == "/"
    assert "alice@example.com" in visitor.get("/profile/").content.decode()
    other = Client()
    other.post("/login/", {"username": bob.email, "password": PASSWORD})
    _, answer = sign_in(identity_provider, "sub-8", other)
    assert answer.status_code == 403
    assert "Someone else on the team" in answer.content.decode()


def test_a_deactivated_user_cannot_sign_in(identity_provider: IdentityProvider, settings: Any) -> None:
    settings.OIDC_ADMIT_ALL = True
    identity_provider.add_user("sub-9", **ERIN)
    sign_in(identity_provider, "sub-9")
    User.objects.update(is_active=False)
    client, answer = sign_in(identity_provider, "sub-9")
    assert answer.status_code == 403
    assert "This account is deactivated" in answer.content.decode()
    assert client.get("/").status_code == 302


def test_passwords_can_be_disabled(alice: User, settings: Any, dana: User) -> None:
    settings.PASSWORD_SIGN_IN = False
    html = Client().get("/login/").content.decode()
    assert "Password" not in html
    answer = Client().post("/login/", {"username": alice.email, "password": PASSWORD})
    assert answer.status_code == 403
    assert "Sign in with Keycloak" in answer.content.decode()
    link = link_on(signed_in(dana).post("/team/invite/", {"role": "maker"}).content.decode())
    form = {"name": "Eve", "email": "eve@example.com", "password": PASSWORD}
    Client().post(link, form)
    assert not User.objects.filter(email="eve@example.com").exists()


def test_single_sign_on_needs_no_second_factor(identity_provider: IdentityProvider, settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = settings.OIDC_ADMIT_ALL = True
    identity_provider.add_user("sub-10", **ERIN)
    client, _ = sign_in(identity_provider, "sub-10")
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "onward", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:1"]
)
def test_the_sign_in_redirects_to_no_other_site(
    onward: str, identity_provider: IdentityProvider, settings: Any
) -> None:
    settings.OIDC_ADMIT_ALL = True
    identity_provider.add_user("sub-11", **ERIN)
    assert sign_in(identity_provider, "sub-11", next=onward)[1].headers["Location"] == "/"


def test_a_foreign_or_used_state_is_refused(identity_provider: IdentityProvider, settings: Any) -> None:
    settings.OIDC_ADMIT_ALL = True
    identity_provider.add_user("sub-12", **ERIN)
    client = Client()
    back = identity_provider.authorize(authorization_url(client), "sub-12")
    assert Client().get(back).status_code == 403, "the callback in another browser"
    state = query_of(back)["state"]
    assert client.get(back.replace(state, "x" * len(state))).status_code == 403
    assert client.get(back).status_code == 302
    assert client.get(back).status_code == 403, "the same answer twice"
    assert User.objects.count() == 1


def test_another_nonce_is_refused(identity_provider: IdentityProvider, settings: Any) -> None:
    settings.OIDC_ADMIT_ALL = True
    identity_provider.add_user("sub-13", **ERIN)
    client = Client()
    address = authorization_url(client)
    query = query_of(address)
    stolen = f"{address.partition('?')[0]}?{urlencode({**query, 'nonce': 'a-nonce-of-someone-else'})}"
    answer = client.get(identity_provider.authorize(stolen, "sub-13"))
    assert answer.status_code == 403
    assert "does not belong to this browser" in answer.content.decode()
    assert not User.objects.exists()


def test_a_cancelled_sign_in_has_a_message(identity_provider: IdentityProvider) -> None:
    client = Client()
    state = query_of(authorization_url(client))["state"]
    answer = client.get(f"/login/oidc/callback/?error=access_denied&state={state}")
    assert answer.status_code == 403
    assert "You cancelled the sign-in" in answer.content.decode()


def test_an_unreachable_identity_provider_has_a_message(settings: Any) -> None:
    oidc = settings.SOCIALACCOUNT_PROVIDERS["oidc"]
    app = {**oidc["APP"], "settings": {"server_url": "http://127.0.0.1:1"}}
    settings.SOCIALACCOUNT_PROVIDERS = {"oidc": {**oidc, "APP": app}}
    answer = Client().post("/login/oidc/")
    assert answer.status_code == 403
    assert "Keycloak cannot be reached" in answer.content.decode()


def test_without_an_issuer_its_urls_are_not_found(settings: Any) -> None:
    settings.OIDC_ISSUER = ""
    assert Client().post("/login/oidc/").status_code == 404
    assert Client().get("/login/oidc/callback/").status_code == 404
    assert "Keycloak" not in Client().get("/login/").content.decode()


TOO_MANY = [
    {
        "_claim_names": {"groups": "src1"},
        "_claim_sources": {"src1": {"endpoint": "https://graph.example.com/"}},
    },
    {"hasgroups": True},
    {"hasgroups": "true"},
]


@pytest.mark.usefixtures("roles_by_group")
@pytest.mark.parametrize("claims", TOO_MANY)
@pytest.mark.parametrize("admits_all", [False, True])
def test_too_many_groups_to_send_change_no_role(
    claims: dict[str, Any], admits_all: bool, identity_provider: IdentityProvider, settings: Any, caplog: Any
) -> None:
    """As Entra signs in who is in more than 200 groups."""
    settings.OIDC_ADMIT_ALL = admits_all
    identity_provider.add_user("sub-9", **ERIN, groups=["/artists"])
    sign_in(identity_provider, "sub-9")
    identity_provider.add_user("sub-9", **ERIN, groups=None, **claims)
    client, _ = sign_in(identity_provider, "sub-9")
    assert User.objects.get().role == "maker"
    html = client.get("/").content.decode()
    assert "more groups than a sign-in can carry" in html
    assert "Your role is Maker" in html
    assert "did not send the groups of user" in caplog.text


@pytest.mark.usefixtures("roles_by_group")
@pytest.mark.parametrize("claims", TOO_MANY)
def test_a_new_person_with_too_many_groups_is_told(
    claims: dict[str, Any], identity_provider: IdentityProvider, settings: Any
) -> None:
    identity_provider.add_user("sub-10", **ERIN, groups=None, **claims)
    _, answer = sign_in(identity_provider, "sub-10")
    assert answer.status_code == 403
    assert "more groups than a sign-in can carry" in answer.content.decode()
    assert not User.objects.exists()

    settings.OIDC_ADMIT_ALL = True
    client, _ = sign_in(identity_provider, "sub-10")
    assert User.objects.get().role == "viewer"
    assert "Your role is Viewer" in client.get("/").content.decode()


@pytest.mark.parametrize("claims", TOO_MANY)
def test_too_many_groups_are_no_matter_where_groups_give_no_role(
    claims: dict[str, Any], identity_provider: IdentityProvider, settings: Any
) -> None:
    settings.OIDC_ADMIT_ALL = True
    identity_provider.add_user("sub-11", **ERIN, groups=None, **claims)
    client, _ = sign_in(identity_provider, "sub-11")
    assert "more groups" not in client.get("/").content.decode()
