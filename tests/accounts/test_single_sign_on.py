"""OpenID Connect against a real provider: who comes in, with which role, and what is refused (R9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from tests.accounts.provider import (
    LyingProvider,
    Provider,
    asked,
    leave,
    lying_provider,
    running_provider,
)
from tests.accounts.test_team import link_on
from tests.people import PASSWORD, signed_in

pytestmark = pytest.mark.django_db
ERIN = {"email": "erin@example.com", "name": "Erin Brook", "email_verified": True}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture(autouse=True)
def switched_on(provider: Provider, settings: Any) -> None:
    told = settings.SOCIALACCOUNT_PROVIDERS["oidc"]
    app = {**told["APP"], "client_id": "portal", "secret": "s", "settings": {"server_url": provider.issuer}}
    settings.SOCIALACCOUNT_PROVIDERS = {"oidc": {**told, "APP": app}}
    settings.OIDC_ISSUER, settings.OIDC_NAME = provider.issuer, "Keycloak"
    settings.PORTAL_URL = "http://testserver"


@pytest.fixture
def mapped(settings: Any) -> None:
    settings.OIDC_GROUPS = {"admin": ["/portal-admins"], "maker": ["/artists"], "viewer": ["/guests"]}


def come(provider: Provider, subject: str, client: Client | None = None, **data: str) -> tuple[Client, Any]:
    """The whole way, as a browser goes it."""
    client = client or Client()
    return client, client.get(provider.let_in(leave(client, **data), subject))


def test_the_page_leads_on_with_state_nonce_and_challenge(provider: Provider) -> None:
    address = leave(Client(), next="/datasets/")
    told = asked(address)
    assert address.startswith(f"{provider.issuer}/oauth2/authorize?")
    assert told["redirect_uri"] == "http://testserver/login/oidc/callback/"
    assert told["code_challenge_method"] == "S256"
    assert len(told["nonce"]) >= 20
    assert len(told["state"]) >= 16
    assert set(told["scope"].split()) == {"openid", "profile", "email"}
    assert Client().get("/login/oidc/").status_code == 405


def test_the_sign_in_page_offers_it() -> None:
    html = Client().get("/login/").content.decode()
    assert "Sign in with Keycloak" in html
    assert "Password" in html


@pytest.mark.usefixtures("mapped")
@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["/artists"], "maker"),
        (["/guests", "/artists", "/others"], "maker"),
        (["/guests", "/portal-admins"], "admin"),
        ("/guests", "viewer"),
    ],
)
def test_groups_give_the_role(groups: Any, role: str, provider: Provider) -> None:
    provider.knows("sub-1", **ERIN, groups=groups)
    client, answer = come(provider, "sub-1", next="/datasets/")
    assert answer.headers["Location"] == "/datasets/"
    assert client.get("/").status_code == 200
    erin = User.objects.get()
    assert (erin.email, erin.name, erin.role) == ("erin@example.com", "Erin Brook", role)
    assert not erin.has_usable_password()
    rows = [(event.action, event.detail["by"]) for event in AuditEvent.objects.order_by("pk")]
    ways = [
        ("account.created", "Keycloak"),
        ("account.connected", "Keycloak"),
        ("session.began", "socialaccount"),
    ]
    assert rows == ways


@pytest.mark.usefixtures("mapped")
def test_the_role_is_taken_at_each_sign_in(provider: Provider, dana: User) -> None:
    provider.knows("sub-2", **ERIN, groups=["/artists"])
    come(provider, "sub-2")
    provider.knows("sub-2", **ERIN, groups=["/guests"])
    come(provider, "sub-2")
    assert User.objects.get(email=ERIN["email"]).role == "viewer"
    event = AuditEvent.objects.get(action="account.role")
    assert (event.detail["before"], event.detail["after"]) == ("maker", "viewer")
    provider.knows("sub-2", **ERIN, groups=[])
    client, answer = come(provider, "sub-2")
    assert answer.status_code == 403
    assert "none of the groups" in answer.content.decode()
    assert client.get("/").status_code == 302


@pytest.mark.usefixtures("mapped")
def test_the_last_admin_stays_one_whatever_the_groups_say(provider: Provider) -> None:
    provider.knows("sub-3", **ERIN, groups=["/portal-admins"])
    come(provider, "sub-3")
    provider.knows("sub-3", **ERIN, groups=["/guests"])
    come(provider, "sub-3")
    assert User.objects.get().role == "admin"


@pytest.mark.usefixtures("mapped")
def test_someone_in_no_group_comes_in_as_viewer_where_that_is_set(provider: Provider, settings: Any) -> None:
    provider.knows("sub-4", **ERIN)
    assert come(provider, "sub-4")[1].status_code == 403
    assert not User.objects.exists()
    settings.OIDC_ADMIT_ALL = True
    come(provider, "sub-4")
    assert User.objects.get().role == "viewer"


def test_without_groups_one_needs_an_invitation(provider: Provider, dana: User) -> None:
    provider.knows("sub-5", **ERIN)
    _, answer = come(provider, "sub-5")
    assert answer.status_code == 403
    assert "Ask an admin for an invitation" in answer.content.decode()
    link = link_on(signed_in(dana).post("/team/invite/", {"role": "maker"}).content.decode())
    assert "Join with Keycloak" in Client().get(link).content.decode()
    client, answer = come(provider, "sub-5", invitation=link.split("/")[-2])
    assert answer.headers["Location"] == "/"
    assert client.get("/").status_code == 200
    assert User.objects.get(email=ERIN["email"]).role == "maker"
    assert Client().get(link).status_code == 410


def test_the_same_e_mail_is_not_the_same_person(provider: Provider, alice: User) -> None:
    provider.knows("sub-6", email=alice.email, email_verified=True)
    _, answer = come(provider, "sub-6")
    assert answer.status_code == 403
    assert "then connect Keycloak on your profile" in answer.content.decode()


@pytest.mark.parametrize(("verified", "status"), [(True, 302), (False, 403)])
def test_a_verified_e_mail_joins_where_the_operator_trusts_it(
    verified: bool, status: int, provider: Provider, alice: User, settings: Any
) -> None:
    settings.OIDC_LINK_BY_EMAIL = True
    provider.knows(f"sub-7-{verified}", email=alice.email.upper(), email_verified=verified)
    _, answer = come(provider, f"sub-7-{verified}")
    assert answer.status_code == status
    assert alice.socialaccount_set.count() == int(verified)  # type: ignore[attr-defined]


def test_a_lent_browser_connects_nothing(provider: Provider, alice: User) -> None:
    """R8: it would be a way in for ever."""
    answer = signed_in(alice).post("/login/oidc/", {"next": "/profile/"})
    assert answer.headers["Location"] == "/profile/confirm/?next=%2Fprofile%2F"


def test_one_connects_it_on_the_profile(provider: Provider, alice: User, bob: User) -> None:
    provider.knows("sub-8", email="elsewhere@example.com")
    client = Client()
    client.post("/login/", {"username": alice.email, "password": PASSWORD})
    assert "Connect" in client.get("/profile/").content.decode()
    _, answer = come(provider, "sub-8", client, next="/profile/")
    assert answer.headers["Location"] == "/profile/"
    assert "Connected" in client.get("/profile/").content.decode()
    assert AuditEvent.objects.filter(action="account.connected", actor=alice).exists()
    visitor, answer = come(provider, "sub-8")
    assert answer.headers["Location"] == "/"
    assert "alice@example.com" in visitor.get("/profile/").content.decode()
    other = Client()
    other.post("/login/", {"username": bob.email, "password": PASSWORD})
    _, answer = come(provider, "sub-8", other)
    assert answer.status_code == 403
    assert "Someone else on the team" in answer.content.decode()


def test_someone_switched_off_stays_out(provider: Provider, settings: Any) -> None:
    settings.OIDC_ADMIT_ALL = True
    provider.knows("sub-9", **ERIN)
    come(provider, "sub-9")
    User.objects.update(is_active=False)
    client, answer = come(provider, "sub-9")
    assert answer.status_code == 403
    assert "This account is deactivated" in answer.content.decode()
    assert client.get("/").status_code == 302


def test_passwords_can_be_switched_off(alice: User, settings: Any, dana: User) -> None:
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


def test_whoever_signs_in_there_needs_no_second_factor_here(provider: Provider, settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = settings.OIDC_ADMIT_ALL = True
    provider.knows("sub-10", **ERIN)
    client, _ = come(provider, "sub-10")
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "onward", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:1"]
)
def test_nobody_is_led_elsewhere_afterwards(onward: str, provider: Provider, settings: Any) -> None:
    """H9."""
    settings.OIDC_ADMIT_ALL = True
    provider.knows("sub-11", **ERIN)
    assert come(provider, "sub-11", next=onward)[1].headers["Location"] == "/"


def test_a_foreign_or_used_state_is_refused(provider: Provider, settings: Any) -> None:
    settings.OIDC_ADMIT_ALL = True
    provider.knows("sub-12", **ERIN)
    client = Client()
    back = provider.let_in(leave(client), "sub-12")
    assert Client().get(back).status_code == 403, "the callback in another browser"
    state = asked(back)["state"]
    assert client.get(back.replace(state, "x" * len(state))).status_code == 403
    assert client.get(back).status_code == 302
    assert client.get(back).status_code == 403, "the same answer twice"
    assert User.objects.count() == 1


def test_another_nonce_is_refused(provider: Provider, settings: Any) -> None:
    settings.OIDC_ADMIT_ALL = True
    provider.knows("sub-13", **ERIN)
    client = Client()
    address = leave(client)
    told = asked(address)
    stolen = f"{address.partition('?')[0]}?{urlencode({**told, 'nonce': 'a-nonce-of-someone-else'})}"
    answer = client.get(provider.let_in(stolen, "sub-13"))
    assert answer.status_code == 403
    assert "does not belong to this browser" in answer.content.decode()
    assert not User.objects.exists()


def test_whoever_calls_it_off_is_told(provider: Provider) -> None:
    client = Client()
    state = asked(leave(client))["state"]
    answer = client.get(f"/login/oidc/callback/?error=access_denied&state={state}")
    assert answer.status_code == 403
    assert "You cancelled the sign-in" in answer.content.decode()


def test_a_provider_that_is_gone_is_told(settings: Any) -> None:
    told = settings.SOCIALACCOUNT_PROVIDERS["oidc"]
    app = {**told["APP"], "settings": {"server_url": "http://127.0.0.1:1"}}
    settings.SOCIALACCOUNT_PROVIDERS = {"oidc": {**told, "APP": app}}
    answer = Client().post("/login/oidc/")
    assert answer.status_code == 403
    assert "Keycloak cannot be reached" in answer.content.decode()


def test_without_it_the_doors_are_not_there(settings: Any) -> None:
    settings.OIDC_ISSUER = ""
    assert Client().post("/login/oidc/").status_code == 404
    assert Client().get("/login/oidc/callback/").status_code == 404
    assert "Keycloak" not in Client().get("/login/").content.decode()


@pytest.fixture
def liar(settings: Any) -> Iterator[LyingProvider]:
    with lying_provider() as running:
        told = settings.SOCIALACCOUNT_PROVIDERS["oidc"]
        app = {**told["APP"], "settings": {"server_url": running.issuer}}
        settings.SOCIALACCOUNT_PROVIDERS = {"oidc": {**told, "APP": app}}
        settings.OIDC_ISSUER, settings.OIDC_ADMIT_ALL = running.issuer, True
        yield running


def come_by(liar: LyingProvider, **lies: Any) -> Any:
    client = Client()
    told = asked(leave(client))
    liar.prepare({"nonce": told["nonce"], **lies})
    return client.get(f"/login/oidc/callback/?code=c&state={told['state']}")


def test_an_honest_token_comes_through(liar: LyingProvider) -> None:
    assert come_by(liar).status_code == 302
    assert User.objects.get().email == "erin@example.com"


@pytest.mark.parametrize(
    "lies",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "another-client"},
        {"aud": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"nonce": "of-another-browser"},
        {"nonce": None},
        {"signed": "by another key"},
        {"signed": "with the client's secret"},
        {"signed": "not at all"},
        {"signed": "no token"},
        {"userinfo_sub": "someone-else"},
        {"discovered_issuer": "https://other.example"},
    ],
    ids=str,
)
def test_a_bad_token_is_refused(lies: dict[str, Any], liar: LyingProvider) -> None:
    answer = come_by(liar, **lies)
    assert answer.status_code == 403
    assert "You are not signed in" in answer.content.decode()
    assert not User.objects.exists()
