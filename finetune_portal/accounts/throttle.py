"""django-axes counts wrong passwords; here are the portal's two limits, its words, and the unlocking."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Max, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import salted_hmac
from django.utils.timezone import now

from finetune_portal.accounts import sign_in_options
from finetune_portal.accounts.forms import SignInForm
from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record

ADDRESS_FACTOR = 10  # an address may fail this many times more often than one e-mail from it


class AxesHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """Counts failures for each pair of e-mail and address, and ADDRESS_FACTOR times as many for an address.

    So nobody can lock out a colleague elsewhere, and guessing many e-mails from one address ends, too.
    """

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        pair, address = (
            attempts.aggregate(sum=Sum("failures_since_start"))["sum"] or 0
            for attempts in self.get_user_attempts(request, credentials)
        )
        return max(int(pair), int(address) // ADDRESS_FACTOR)

    def reset_user_attempts(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Reset only the failures of this e-mail after a correct password, not those of others."""
        pair, _ = self.filter_user_attempts(request, credentials)
        return int(pair.delete()[0])


def attempted_email(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Return the e-mail as the database spells it, so that another spelling is not another account.

    Text that is not an e-mail may be a password in the wrong field: only its digest is returned.
    """
    attempted = (
        str((credentials or {}).get("username") or request.POST.get("username", "")).strip().lower()[:255]
    )
    try:
        validate_email(attempted)
    except ValidationError:
        return salted_hmac("accounts.throttle", attempted).hexdigest()
    return attempted


def lockout_response(
    request: HttpRequest, response: HttpResponse | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """Answer 429 with the sign-in page, which says until when the account is locked."""
    name = attempted_email(request, credentials)
    until = _until(name, request.axes_ip_address)  # type: ignore[attr-defined]  # axes put it there
    seconds = max(1, int((until - now()).total_seconds()))
    context = {
        "form": SignInForm(request, initial={"username": request.POST.get("username", "")}),
        "locked_until": until,
        **sign_in_options.context(),
    }
    response = render(request, "accounts/login.html", context, status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


def _until(name: str, address: str) -> datetime:
    pair = AccessAttempt.objects.filter(username=name, ip_address=address)
    last = pair.aggregate(last=Max("attempt_time"))["last"]
    if last is None:
        last = AccessAttempt.objects.filter(ip_address=address).aggregate(last=Max("attempt_time"))["last"]
    return (last or now()) + settings.AXES_COOLOFF_TIME


def locked_emails() -> set[str]:
    """Return the e-mails that cannot sign in at the moment, from at least one address."""
    recent = AccessAttempt.objects.filter(attempt_time__gte=now() - settings.AXES_COOLOFF_TIME)
    pairs = recent.values("username", "ip_address").annotate(sum=Sum("failures_since_start"))
    return {row["username"] for row in pairs if row["sum"] >= settings.AXES_FAILURE_LIMIT}


def unlock(person: User, *, actor: User) -> None:
    with transaction.atomic():
        AccessAttempt.objects.filter(username=person.email).delete()
        record(actor, "account.unlocked", person)
