"""Write sign-ins and second factors to the audit record, by signals of Django, allauth and django-axes."""

from __future__ import annotations

from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.account.signals import user_logged_in
from allauth.mfa import signals as second_factor
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.signals import social_account_added
from axes.models import AccessAttempt
from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth import signals as auth
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.accounts.session_store import SIGNED_IN_AT
from finetune_portal.audit.services import record


@receiver(auth.user_logged_in)
def begun(request: HttpRequest, **_: Any) -> None:
    request.session[SIGNED_IN_AT] = now().timestamp()


@receiver(user_logged_in)
def signed_in(request: HttpRequest, user: User, **_: Any) -> None:
    methods = [each["method"] for each in get_authentication_records(request, user)]
    record(user, "session.began", user, by=", ".join(methods))


@receiver(social_account_added)
def connected(sociallogin: SocialLogin, **_: Any) -> None:
    record(sociallogin.user, "account.connected", sociallogin.user, by=settings.OIDC_NAME)


@receiver(auth.user_logged_out)
def signed_out(user: User | None, **_: Any) -> None:
    if user:
        record(user, "session.ended", user, by="sign-out")


@receiver(auth.user_login_failed)
def failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Record wrong passwords while they are counted, so that a flood during a lockout fills no table.

    An unknown e-mail takes the same time and is not stored: it may be a password in the wrong field.
    """
    if request is None or getattr(request, "axes_failures_since_start", None) is None:
        return
    email = str(credentials.get("username") or "").strip().lower()
    person = User.objects.filter(email=email).first()
    record(None, "session.refused", person or AccessAttempt.objects.latest("attempt_time"))


@receiver(user_locked_out)
def locked(request: Any, username: str, **_: Any) -> None:
    """Record the attempt that locks the account, not each one after it."""
    person = User.objects.filter(email=username).first()
    if person and getattr(request, "axes_failures_since_start", None):
        record(None, "account.locked", person, tries=request.axes_failures_since_start)


@receiver(post_save, sender=Authenticator)
def factor_added(instance: Authenticator, created: bool, **_: Any) -> None:
    if created:
        record(instance.user, "second_factor.added", instance.user, kind=str(instance.type))


@receiver(second_factor.authenticator_removed)
def factor_removed(user: User, authenticator: Authenticator, **_: Any) -> None:
    record(user, "second_factor.removed", user, kind=str(authenticator.type))


@receiver(second_factor.authentication_failed)
def factor_failed(user: User, **_: Any) -> None:
    record(None, "second_factor.refused", user)
