"""What the portal adds to allauth's second factors: who has one, who must, and that no code counts twice."""

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

KINDS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]


def has_one(person: User) -> bool:
    return bool(is_mfa_enabled(person, KINDS))


def is_missing(request: HttpRequest) -> bool:
    """Whether this person has to set one up first. Once settled, the session remembers it."""
    if not settings.REQUIRE_SECOND_FACTOR or request.session.get(SECOND_FACTOR):
        return False
    methods = [record["method"] for record in get_authentication_records(request, request.user)]
    settled = "socialaccount" in methods or has_one(request.user)  # type: ignore[arg-type]  # signed in
    if settled:
        request.session[SECOND_FACTOR] = True
    return not settled


def spend(authenticator: Authenticator, code: str) -> bool:
    """Whether this right code is newer than the last one that was used (RFC 6238, 5.2), in any process."""
    if authenticator.type != Authenticator.Type.TOTP:
        return True
    secret = decrypt(authenticator.data["secret"])
    digits = "".join(code.split())
    counters = [each for each in yield_hotp_counters_from_time() if _code(secret, each) == digits]
    with transaction.atomic():
        row = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
        fresh = bool(counters) and counters[-1] > row.data.get("last_counter", 0)
        if fresh:
            row.data["last_counter"] = counters[-1]
            row.save(update_fields=["data"])
    return fresh


def _code(secret: str, counter: int) -> str:
    return str(format_hotp_value(hotp_value(secret, counter)))
