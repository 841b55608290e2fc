"""Which ways to sign in there are, as template context."""

from __future__ import annotations

from django.conf import settings


def context() -> dict[str, object]:
    return {
        "passwords_on": settings.PASSWORD_SIGN_IN,
        "sign_on": settings.OIDC_NAME if settings.OIDC_ISSUER else "",
        "sends_mail": bool(settings.EMAIL_HOST),
    }
