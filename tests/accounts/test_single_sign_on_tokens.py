"""OpenID Connect with an identity provider that signs what a test wants: which tokens are refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from finetune_portal.accounts.models import User
from tests.accounts.identity_provider import ScriptedIdentityProvider, authorization_url, query_of

pytestmark = pytest.mark.django_db


def sign_in_with(scripted: ScriptedIdentityProvider, **deviations: Any) -> Any:
    client = Client()
    query = query_of(authorization_url(client))
    scripted.prepare({"nonce": query["nonce"], **deviations})
    return client.get(f"/login/oidc/callback/?code=c&state={query['state']}")


def test_a_valid_token_is_accepted(scripted: ScriptedIdentityProvider) -> None:
    assert sign_in_with(scripted).status_code == 302
    assert User.objects.get().email == "erin@example.com"


@pytest.mark.parametrize(
    "deviations",
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
def test_an_invalid_token_is_refused(deviations: dict[str, Any], scripted: ScriptedIdentityProvider) -> None:
    answer = sign_in_with(scripted, **deviations)
    assert answer.status_code == 403
    assert "You are not signed in" in answer.content.decode()
    assert not User.objects.exists()
