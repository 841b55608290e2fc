"""Second factors beyond allauth: who has one, who needs one, and that no code is accepted twice."""

from __future__ import annotations

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.mfa.utils import decrypt, is_mfa_enabled
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from finetune_portal.accounts.models import User
from finetune_portal.web.asgi import SECOND_FACTOR

TYPES = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]


def has_second_factor(person: User) -> bool:
    return bool(is_mfa_enabled(person, TYPES))


def is_missing(request: HttpRequest) -> bool:
    """Whether this person has to set one up first. The session remembers a no."""
    if not settings.REQUIRE_SECOND_FACTOR or request.session.get(SECOND_FACTOR):
        return False
    methods = [record["method"] for record in get_authentication_records(request, request.user)]
    is_settled = "socialaccount" in methods or has_second_factor(request.user)  # type: ignore[arg-type]  # signed in
    if is_settled:
        request.session[SECOND_FACTOR] = True
    return not is_settled


def spend(authenticator: Authenticator, code: str) -> bool:
    """Use up a correct code. Return False if it or a newer one was used already (RFC 6238, 5.2).

    The counters of TOTP have no public API in allauth; a test pins the internal one.
    """
    if authenticator.type != Authenticator.Type.TOTP:
        return True
    secret = decrypt(authenticator.data["secret"])
    digits = "".join(code.split())
    counters = [each for each in yield_hotp_counters_from_time() if _code(secret, each) == digits]
    with transaction.atomic():
        row = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
        is_new = bool(counters) and counters[-1] > row.data.get("last_counter", 0)
        if is_new:
            row.data["last_counter"] = counters[-1]
            row.save(update_fields=["data"])
    return is_new


def _code(secret: str, counter: int) -> str:
    return str(format_hotp_value(hotp_value(secret, counter)))
