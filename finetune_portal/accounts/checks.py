"""Start checks: somebody can sign in, and the identity provider is set up whole."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from finetune_portal.web.checks import ENVIRONMENT


@register(ENVIRONMENT)
def sign_in_options(**_: Any) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    if not settings.PASSWORD_SIGN_IN and not settings.OIDC_ISSUER:
        hint = "Set OIDC_ISSUER, or leave PORTAL_PASSWORD_SIGN_IN as it is."
        messages.append(
            Error("Nobody can sign in: no passwords, no identity provider.", hint=hint, id="portal.E006")
        )
    if settings.OIDC_ISSUER and not (settings.OIDC_CLIENT_ID and settings.OIDC_CLIENT_SECRET):
        hint = "Set OIDC_CLIENT_ID and OIDC_CLIENT_SECRET or OIDC_CLIENT_SECRET_FILE."
        text = "OIDC_ISSUER is set, but not the client that the portal uses there."
        messages.append(Error(text, hint=hint, id="portal.E007"))
    address = urlsplit(settings.OIDC_ISSUER)
    is_loopback = address.hostname in {"127.0.0.1", "localhost", "::1"}
    if settings.OIDC_ISSUER and address.scheme != "https" and not is_loopback:
        hint = "Codes and tokens would travel unencrypted. Use https."
        messages.append(Error("OIDC_ISSUER is not an https address.", hint=hint, id="portal.E008"))
    return messages
