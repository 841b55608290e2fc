"""OpenID Connect with the team's identity provider, stricter than allauth's own.

allauth finds the class by the name of this module. It does not check the ID token's signature and nonce,
because the token comes straight from the identity provider. This class checks both, and keeps only the claims
that the portal uses. A person is identified by issuer and subject together, never by e-mail.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urljoin

import jwt
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.base import ProviderException
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
REQUIRED_CLAIMS = ["iss", "sub", "aud", "exp", "iat"]


class Adapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # allauth has no types
    @property
    def says_auth_time(self) -> bool:
        """Whether the identity provider lists `auth_time` among the claims that it can send."""
        return "auth_time" in (self.openid_config.get("claims_supported") or [])

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return urljoin(settings.PORTAL_URL, reverse("oidc_callback"))

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> Any:
        claims = self._verified_claims(str(kwargs["response"].get("id_token") or ""), app.client_id)
        auth_time = claims.get("auth_time")
        if "userinfo_endpoint" in self.openid_config:
            user_info = self._fetch_user_info(token.token)
            if user_info.get("sub") != claims["sub"]:
                raise ProviderException("The user information belongs to another subject.")
            claims = {**user_info, **claims}
        login = self.get_provider().sociallogin_from_response(request, claims)
        login.nonce = str(claims.get("nonce") or "")
        login.auth_time = auth_time if isinstance(auth_time, int | float) else self._unsaid_auth_time
        return login

    @property
    def _unsaid_auth_time(self) -> int | None:
        """Return when somebody signed in whose ID token does not say it, in seconds since 1970.

        Who can send the time need not do so without `max_age`, which the browser's user can take out of the
        address. So a missing time is then the oldest one.
        """
        return 0 if self.says_auth_time else None

    def _verified_claims(self, id_token: str, client_id: str) -> dict[str, Any]:
        issuer = str(self.openid_config.get("issuer"))
        if issuer.rstrip("/") != settings.OIDC_ISSUER:
            raise ProviderException("The identity provider names another issuer.")
        with get_adapter().get_requests_session() as session:
            jwks = session.get(self.openid_config["jwks_uri"]).json()
        try:
            keys = jwt.PyJWKSet.from_dict(jwks)
            key_id = jwt.get_unverified_header(id_token).get("kid")
            key = next(each for each in keys.keys if key_id is None or each.key_id == key_id)
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key,
                algorithms=ALGORITHMS,
                audience=client_id,
                issuer=issuer,
                options={"require": REQUIRED_CLAIMS},
                leeway=60,
            )
        except (jwt.PyJWTError, StopIteration) as exc:
            raise ProviderException(f"The ID token is not valid: {type(exc).__name__}.") from None
        return claims


class Provider(OpenIDConnectProvider):  # type: ignore[misc]
    id = "oidc"
    oauth2_adapter_class = Adapter

    def reauthentication_params(self, request: HttpRequest) -> dict[str, str]:
        """Return what asks for a new sign-in, whoever is signed in there (OpenID Connect Core 1.0, 3.1.2.1).

        An identity provider that cannot say when somebody signed in may refuse the prompt, as Google does.
        """
        says_auth_time = self.get_oauth2_adapter(request).says_auth_time
        return {"max_age": "0", **({"prompt": "login"} if says_auth_time else {})}

    def extract_uid(self, data: dict[str, Any]) -> str:
        return hashlib.sha256(f"{data['iss']} {data['sub']}".encode()).hexdigest()

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        groups = data.get(settings.OIDC_GROUPS_CLAIM) or []
        return {
            "name": str(data.get("name") or data.get("preferred_username") or ""),
            "email": str(data.get("email") or "").lower(),
            "email_verified": data.get("email_verified") is True,
            "groups": [str(group) for group in ([groups] if isinstance(groups, str) else groups)],
            "has_all_groups": _has_all_groups(data),
        }


def _has_all_groups(claims: dict[str, Any]) -> bool:
    """Return False for Entra's sign that a person is in too many groups to send them (over 200).

    It then names another place for the claim, as OpenID Connect Core 1.0, 5.6.2 has it, or sends `hasgroups`.
    """
    elsewhere = claims.get("_claim_names")
    if isinstance(elsewhere, dict) and settings.OIDC_GROUPS_CLAIM in elsewhere:
        return False
    return str(claims.get("hasgroups", "")).lower() != "true"


provider_classes = [Provider]
