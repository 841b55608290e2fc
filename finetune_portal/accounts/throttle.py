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

OFFICE = 10  # one address may fail so many times more often than one e-mail from it


class Handler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """Nobody can lock out a colleague elsewhere, and many names from one address still come to an end."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        pair, address = (
            attempts.aggregate(sum=Sum("failures_since_start"))["sum"] or 0
            for attempts in self.get_user_attempts(request, credentials)
        )
        return max(int(pair), int(address) // OFFICE)

    def reset_user_attempts(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """A right password forgives only its own e-mail, not the guesses at others."""
        pair, _ = self.filter_user_attempts(request, credentials)
        return int(pair.delete()[0])


def name_tried(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The e-mail as the database has it: another spelling is not another account. What is no e-mail may be
    a password in the wrong field; of that only a digest is counted.
    """
    told = str((credentials or {}).get("username") or request.POST.get("username", "")).strip().lower()[:255]
    try:
        validate_email(told)
    except ValidationError:
        return salted_hmac("accounts.throttle", told).hexdigest()
    return told


def locked_out(
    request: HttpRequest, response: HttpResponse | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """The sign-in page with the sentence that says until when."""
    name = name_tried(request, credentials)
    until = _until(name, request.axes_ip_address)  # type: ignore[attr-defined]  # axes put it there
    seconds = max(1, int((until - now()).total_seconds()))
    context = {
        "form": SignInForm(request, initial={"username": request.POST.get("username", "")}),
        "locked_until": until,
        **sign_in_options.context(),
    }
    answer = render(request, "accounts/login.html", context, status=429)
    answer.headers["Retry-After"] = str(seconds)
    return answer


def _until(name: str, address: str) -> datetime:
    pair = AccessAttempt.objects.filter(username=name, ip_address=address)
    last = pair.aggregate(last=Max("attempt_time"))["last"]
    if last is None:
        last = AccessAttempt.objects.filter(ip_address=address).aggregate(last=Max("attempt_time"))["last"]
    return (last or now()) + settings.AXES_COOLOFF_TIME


def locked() -> set[str]:
    """The e-mails that cannot sign in at the moment, from one address at least."""
    recent = AccessAttempt.objects.filter(attempt_time__gte=now() - settings.AXES_COOLOFF_TIME)
    pairs = recent.values("username", "ip_address").annotate(sum=Sum("failures_since_start"))
    return {row["username"] for row in pairs if row["sum"] >= settings.AXES_FAILURE_LIMIT}


def unlock(person: User, *, actor: User) -> None:
    with transaction.atomic():
        AccessAttempt.objects.filter(username=person.email).delete()
        record(actor, "account.unlocked", person)
