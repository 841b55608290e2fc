"""Where allauth asks the portal: no sign-up, addresses through the proxies, sealed secrets."""

from __future__ import annotations

import logging
import time
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from finetune_portal.accounts import single_sign_on
from finetune_portal.accounts.models import User
from finetune_portal.web import encryption
from finetune_portal.web.client_ip import client_ip

logger = logging.getLogger(__name__)


class Account(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_ip(request)

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """The portal's views say what happened in their own words."""

    def is_safe_url(self, url: str | None) -> bool:
        """Only the host that was asked. Unlike allauth's own, it bears what is no address at all."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts={context.request.get_host()})

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return reverse(settings.LOGIN_REDIRECT_URL)

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        return refused(request, "This account is switched off. Ask an admin.")

    def reauthenticate(self, user: User, password: str) -> bool:
        found = authenticate(context.request, username=user.email, password=password)
        return found is not None and found.pk == user.pk

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whoever signed in or confirmed within the last minutes need not do so again."""
        records = get_authentication_records(context.request, context.request.user)
        since = time.time() - settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
        return not any(record["at"] > since for record in records)


class SecondFactor(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "That code is not right. Take the one that is shown now.",
        "key_lost": "The portal lost the key to your second factor. An admin can remove it on the team page.",
        "cannot_delete_authenticator": (
            "This portal asks everyone for a second factor. Add another one first, then remove this."
        ),
    }

    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return encryption.decrypt(encrypted_text)
        except encryption.KeyLostError:
            raise self.validation_error("key_lost") from None

    def generate_authenticator_name(self, user: User, type: str) -> str:
        return f"Key {Authenticator.objects.filter(user=user, type=type).count() + 1}"

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        others = Authenticator.objects.filter(user=authenticator.user).exclude(pk=authenticator.pk)
        return not settings.REQUIRE_SECOND_FACTOR or others.exclude(type="recovery_codes").exists()


class SingleSignOn(DefaultSocialAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False  # pre_social_login lets people in, or refuses them

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: Any) -> str:
        return reverse("accounts:profile")

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        try:
            single_sign_on.admit(request, sociallogin)
        except single_sign_on.Refused as exc:
            raise ImmediateHttpResponse(refused(request, str(exc))) from None

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        logger.warning("A sign-in by %s failed: %s", settings.OIDC_NAME, type(exception).__name__)
        if error == "cancelled":
            text = "You called off the sign-in. Nothing was changed."
        elif exception:
            text = f"{settings.OIDC_NAME} did not answer as it should. Try again; if it stays, tell an admin."
        else:
            text = "This sign-in was interrupted, or took too long. Start it again from the sign-in page."
        raise ImmediateHttpResponse(refused(request, text))


def refused(request: HttpRequest, text: str) -> HttpResponse:
    return render(request, "accounts/refused.html", {"text": text}, status=403)
