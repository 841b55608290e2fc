"""django-axes counts wrong passwords; here are the portal's two limits, its words, and the unlocking."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Max, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import salted_hmac
from django.utils.timezone import now

from finetune_portal.accounts import sign_in_options, slow_down
from finetune_portal.accounts.forms import SignInForm
from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.web.client_ip import client_ip, host_of, site_of

ADDRESS_FACTOR = 10  # an address may fail this many times more often than one e-mail from it


class AxesHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """Counts failures for each pair of e-mail and address, and ADDRESS_FACTOR times as many for an address.

    So nobody can lock out a colleague elsewhere, and guessing many e-mails from one address ends, too.
    An IPv6 address counts as its /64 in a pair, and as its /48 alone. `slow_down.py` has the limit of one
    e-mail from all addresses.
    """

    def is_allowed(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        email, address = attempted_email(request, credentials), _address_of(request)
        return super().is_allowed(request, credentials) and slow_down.may_try(email, address)

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
    ) -> None:
        super().user_login_failed(sender, credentials, request, **kwargs)
        if request is not None and getattr(request, "axes_failures_since_start", None) is not None:
            slow_down.note_failure(attempted_email(request, credentials))

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        pair, address = (
            attempts.aggregate(sum=Sum("failures_since_start"))["sum"] or 0
            for attempts in self.get_user_attempts(request, credentials)
        )
        return max(int(pair), int(address) // ADDRESS_FACTOR)

    def filter_user_attempts(
        self, request: HttpRequest, credentials: dict[str, Any] | None = None
    ) -> list[QuerySet[AccessAttempt]]:
        """Return the attempts for the e-mail from this address, and those for any e-mail from its site."""
        address = _address_of(request)
        pair = AccessAttempt.objects.filter(
            username=attempted_email(request, credentials), ip_address=address
        )
        return [pair, AccessAttempt.objects.filter(_same_site(address))]

    def reset_user_attempts(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Reset only the failures of this e-mail after a correct password, not those of others."""
        pair, _ = self.filter_user_attempts(request, credentials)
        return int(pair.delete()[0])

    def reset_attempts(
        self, *, ip_address: str | None = None, username: str | None = None, ip_or_username: bool = False
    ) -> int:
        """Reset what the commands of axes name, which operators use."""
        if username:
            slow_down.reset(username)
        elif ip_address is None:
            cache.clear()
        return int(
            super().reset_attempts(ip_address=ip_address, username=username, ip_or_username=ip_or_username)
        )


def _address_of(request: HttpRequest) -> str:
    """Return the counted address, which axes keeps at the request."""
    return str(request.axes_ip_address)  # type: ignore[attr-defined]


def counted_address(request: HttpRequest) -> str:
    """Return the address under which a failure is counted: of IPv6, the first one of the /64."""
    return host_of(client_ip(request))


def _same_site(address: str) -> Q:
    """Match the counted addresses of a site: an IPv4 address itself, the /64s of an IPv6 address's /48.

    By text, as SQLite stores it: the first address of a /64 is written with its fourth group, even after
    zeros, because the longer run of zeros is the one that is left out (RFC 5952, 4.2.3).
    """
    match = Q(ip_address=site_of(address))
    if ip_address(address).version == 6:
        groups = (f"{int(group, 16):x}" for group in ip_address(address).exploded.split(":")[:3])
        match |= Q(ip_address__startswith=f"{':'.join(groups)}:")
    return match


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
    """Answer 429 with the sign-in page, which says until when the account is locked or paused."""
    name = attempted_email(request, credentials)
    is_paused = not AxesProxyHandler.is_locked(request, credentials)
    until = slow_down.paused_until(name) if is_paused else _until(name, _address_of(request))
    seconds = max(1, int((until - now()).total_seconds())) if until else 1
    context = {
        "form": SignInForm(request, initial={"username": request.POST.get("username", "")}),
        "locked_until": until,
        "is_paused": is_paused,
        **sign_in_options.context(),
    }
    response = render(request, "accounts/login.html", context, status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


def _until(name: str, address: str) -> datetime:
    pair = AccessAttempt.objects.filter(username=name, ip_address=address)
    last = pair.aggregate(last=Max("attempt_time"))["last"]
    if last is None:
        last = AccessAttempt.objects.filter(_same_site(address)).aggregate(last=Max("attempt_time"))["last"]
    return (last or now()) + settings.AXES_COOLOFF_TIME


def locked_emails() -> set[str]:
    """Return the e-mails that cannot sign in at the moment, from at least one address."""
    recent = AccessAttempt.objects.filter(attempt_time__gte=now() - settings.AXES_COOLOFF_TIME)
    pairs = recent.values("username", "ip_address").annotate(sum=Sum("failures_since_start"))
    return {row["username"] for row in pairs if row["sum"] >= settings.AXES_FAILURE_LIMIT}


def unlock(person: User, *, actor: User) -> None:
    with transaction.atomic():
        AccessAttempt.objects.filter(username=person.email).delete()
        slow_down.reset(person.email)
        record(actor, "account.unlocked", person)
