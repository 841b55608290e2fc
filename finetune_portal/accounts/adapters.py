"""Adapters of allauth: no sign-up, client addresses through proxies, encrypted second factors."""

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
from django.contrib import messages
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


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_ip(request)

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Add none of allauth's messages: the portal's views have their own."""

    def is_safe_url(self, url: str | None) -> bool:
        """Accept only URLs of the requested host. Unlike allauth's own method, it bears invalid ones."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts={context.request.get_host()})

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return reverse(settings.LOGIN_REDIRECT_URL)

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        return sign_in_refused(request, "This account is deactivated. Ask an admin.")

    def logout(self, request: HttpRequest) -> None:
        """End the session of a browser that signs in by the identity provider while somebody is signed in.

        The session that begins then keeps when its person signed in there, which was noted just before.
        """
        auth_time = request.session.get(single_sign_on.AUTH_TIME)
        super().logout(request)
        request.session[single_sign_on.AUTH_TIME] = auth_time

    def reauthenticate(self, user: User, password: str) -> bool:
        authenticated = authenticate(context.request, username=user.email, password=password)
        return authenticated is not None and authenticated.pk == user.pk

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whether the last sign-in or confirmation is too long ago."""
        records = get_authentication_records(context.request, context.request.user)
        since = time.time() - settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
        return not any(single_sign_on.signed_in_at(context.request, record) > since for record in records)


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "That code is wrong. Enter the one that your app shows now.",
        "key_lost": "The portal lost the key to your second factor. An admin can remove it on the team page.",
        "cannot_delete_authenticator": (
            "This portal requires a second factor. Add another one first, then remove this one."
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


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False  # pre_social_login decides

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: Any) -> str:
        return reverse("accounts:profile")

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        try:
            if sentence := single_sign_on.admit(request, sociallogin):
                messages.warning(request, sentence)
        except single_sign_on.SignInRefusedError as exc:
            raise ImmediateHttpResponse(sign_in_refused(request, str(exc))) from None

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
            text = "You cancelled the sign-in. Nothing was changed."
        elif exception:
            text = f"{settings.OIDC_NAME} did not answer as it should. Try again, or tell an admin."
        else:
            text = "This sign-in was interrupted or took too long. Start again from the sign-in page."
        raise ImmediateHttpResponse(sign_in_refused(request, text))


def sign_in_refused(request: HttpRequest, text: str) -> HttpResponse:
    return render(request, "accounts/refused.html", {"text": text}, status=403)
