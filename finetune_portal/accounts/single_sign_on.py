"""Decide who may sign in by OpenID Connect, as whom, in which role. provider.py has checked the claims."""

from __future__ import annotations

import logging
import time
from secrets import compare_digest, token_urlsafe
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.timezone import now

from finetune_portal.accounts import services, sessions
from finetune_portal.accounts.models import Invitation, User
from finetune_portal.audit.services import record

logger = logging.getLogger(__name__)

OTHERS_ENDED = (
    "You sign in with {name} from now on. The password of this account, its second factors, other sessions, "
    "personal tokens and notification channels have ended: nobody had confirmed its e-mail, or it got more "
    "rights."
)
JUST_MADE = "An account with your e-mail was made at this moment. Sign in again."
NOT_ASKED = (
    "{name} did not ask you to sign in again, so this does not confirm that it is you. Sign out of {name}, "
    "then try again."
)
TIME_MISSING = (
    "{name} did not say when you signed in, so this does not confirm that it is you. Try again. If it does "
    "not help, ask an admin: the claim auth_time is missing."
)
# In the session: when its person signed in at the identity provider, in seconds since 1970. It is 0 where the
# identity provider can say it and did not, and None where it cannot.
AUTH_TIME = "oidc_auth_time"
TOO_MANY_GROUPS = "You are in more groups than a sign-in can carry, so the portal did not learn them."


class SignInRefusedError(Exception):
    """The sign-in is refused. The text says why, for the person who signs in."""


def is_enabled() -> bool:
    return bool(settings.OIDC_ISSUER)


def authorization_url(
    request: HttpRequest, onward: str, invitation: str, *, is_confirmation: bool = False
) -> str:
    """Return the URL at the identity provider, with state, nonce and code challenge.

    For a confirmation the identity provider is asked to have the person sign in again. Raises OSError when
    it does not answer.
    """
    nonce = token_urlsafe(16)
    invited = services.open_invitation(invitation) if invitation else None
    provider = get_adapter().get_provider(request, "oidc")
    process = AuthProcess.CONNECT if request.user.is_authenticated else AuthProcess.LOGIN
    answer = provider.redirect(
        request,
        process=AuthProcess.REDIRECT if is_confirmation else process,
        next_url=onward,
        auth_params={
            "nonce": nonce,
            **(provider.reauthentication_params(request) if is_confirmation else {}),
        },
        nonce=nonce,
        invitation=invited.pk if invited else None,
    )
    return str(answer.url)


def admit(request: HttpRequest, sociallogin: Any) -> str:
    """Connect `sociallogin` with the user who signs in. Raises SignInRefusedError.

    Return sentences for that user: other ways in that ended, groups that were not sent; mostly none.
    """
    claims = sociallogin.account.extra_data
    if not compare_digest(sociallogin.nonce, str(sociallogin.state.get("nonce"))):
        raise SignInRefusedError(
            "This sign-in does not belong to this browser. Start it again from the sign-in page."
        )
    known = sociallogin.user if sociallogin.is_existing else None
    if sociallogin.state["process"] == AuthProcess.REDIRECT:
        _confirm(request, sociallogin, known)
        return ""
    if sociallogin.state["process"] == AuthProcess.CONNECT:
        if known and known != request.user:
            raise SignInRefusedError(
                f"Someone else on the team already signs in with this {settings.OIDC_NAME} account."
            )
        return ""
    has_all_groups = claims["has_all_groups"] or not any(settings.OIDC_GROUPS.values())
    role = _role(claims["groups"]) if has_all_groups else None
    existing = known or _user_with_email(claims)
    person = existing or _create_user(claims, role, sociallogin.state.get("invitation"))
    if not person.is_active:
        raise SignInRefusedError("This account is deactivated. Ask an admin.")
    is_proven = existing is None or known is not None or person.is_email_verified
    ends_others = not is_proven or _is_rise(person, role)
    if ends_others:
        services.keep_identity_provider_only(person, subject=sociallogin.account.uid)
    if known is None:
        sociallogin.connect(request, person)
    _apply(claims, person, role)
    request.session[AUTH_TIME] = sociallogin.auth_time
    ended = OTHERS_ENDED.format(name=settings.OIDC_NAME) if ends_others else ""
    return f"{ended} {'' if has_all_groups else _too_many_groups(person)}".strip()


def signed_in_at(request: HttpRequest, record: dict[str, Any]) -> float:
    """Return when the person of a session showed who they are, by one of allauth's records of it.

    A sign-in by the identity provider is as old as the one there: it may ask for nothing for days.
    """
    at, there = float(record["at"]), request.session.get(AUTH_TIME)
    return at if there is None or record["method"] != "socialaccount" else min(at, float(there))


def _confirm(request: HttpRequest, sociallogin: Any, known: User | None) -> None:
    """Note that the person of this session signed in again at the identity provider.

    Raises SignInRefusedError.
    """
    name, auth_time = settings.OIDC_NAME, sociallogin.auth_time
    if known is None or known != request.user:
        raise SignInRefusedError(f"This is not the {name} account that you are signed in with here.")
    if auth_time == 0:
        raise SignInRefusedError(TIME_MISSING.format(name=name))
    if auth_time is not None and auth_time < time.time() - settings.ACCOUNT_REAUTHENTICATION_TIMEOUT:
        raise SignInRefusedError(NOT_ASKED.format(name=name))
    sessions.renew(request)
    request.session[AUTH_TIME] = auth_time
    record_authentication(request, known, "socialaccount", provider="oidc", reauthenticated=True)
    record(known, "session.confirmed", known)


def _is_rise(person: User, role: str | None) -> bool:
    """Whether the role gives more rights to an account that a password opens, too."""
    ranks = ["", *User.Role.values]
    return person.has_usable_password() and ranks.index(role or "") > ranks.index(person.role)


def _too_many_groups(person: User) -> str:
    logger.warning(
        "%s did not send the groups of user %s: too many. The role stays %s. See docs/operations.md.",
        settings.OIDC_NAME,
        person.pk,
        person.role,
    )
    return f"{TOO_MANY_GROUPS} Your role is {person.get_role_display()}; an admin can change it."


def _role(groups: list[str]) -> str | None:
    """Return the highest role of the groups; None where roles are managed here. Raises SignInRefusedError."""
    if not any(settings.OIDC_GROUPS.values()):
        return None
    for role, named in settings.OIDC_GROUPS.items():
        if set(named) & set(groups):
            return str(role)
    if settings.OIDC_ADMIT_ALL:
        return User.Role.VIEWER
    raise SignInRefusedError(
        f"You are in none of the groups that may use this portal. Ask the admins of {settings.OIDC_NAME}."
    )


def _user_with_email(claims: dict[str, Any]) -> User | None:
    """Return the account with this e-mail, if the operator trusts the identity provider's e-mails.

    Raises SignInRefusedError.
    """
    user = User.objects.filter(email=claims["email"]).first() if claims["email"] else None
    if user and not (settings.OIDC_LINK_BY_EMAIL and claims["email_verified"]):
        raise SignInRefusedError(
            f"There is an account for {user.email} already. Sign in with its password, "
            f"then connect {settings.OIDC_NAME} on your profile."
        )
    return user


def _create_user(claims: dict[str, Any], role: str | None, invitation_id: int | None) -> User:
    """Create the account of a new person. Raises SignInRefusedError."""
    if not claims["email"]:
        raise SignInRefusedError(
            f"{settings.OIDC_NAME} did not send your e-mail. Ask an admin: the scope email is missing."
        )
    name = (claims["name"] or claims["email"].partition("@")[0])[:80]
    invitation = Invitation.objects.filter(pk=invitation_id or 0, expires_at__gt=now()).first()
    if invitation and (user := _accept(invitation, claims["email"], name)):
        return user
    if role is None and not claims["has_all_groups"] and not settings.OIDC_ADMIT_ALL:
        raise SignInRefusedError(f"{TOO_MANY_GROUPS} Ask an admin for an invitation.")
    if role is None and not settings.OIDC_ADMIT_ALL:
        raise SignInRefusedError("You are not on the team yet. Ask an admin for an invitation.")
    try:
        with transaction.atomic():
            user = User.objects.create_user(claims["email"], None, name=name, role=role or User.Role.VIEWER)
            record(user, "account.created", user, role=user.role, by=settings.OIDC_NAME)
    except IntegrityError:
        raise SignInRefusedError(JUST_MADE) from None
    return user


def _accept(invitation: Invitation, email: str, name: str) -> User | None:
    if invitation.email.lower() not in ("", email):
        raise SignInRefusedError(f"This invitation is for {invitation.email}. Ask an admin for another one.")
    try:
        return services.accept(invitation, email=email, name=name, password=None)
    except services.EmailTakenError:
        raise SignInRefusedError(JUST_MADE) from None


def _apply(claims: dict[str, Any], person: User, role: str | None) -> None:
    """Note what the identity provider says of this person: that the e-mail is theirs, and the role."""
    if claims["email_verified"] and claims["email"] == person.email:
        User.objects.filter(pk=person.pk).update(is_email_verified=True)
    try:
        if role:
            services.set_role(person, role, actor=None)
    except services.LastAdminError:
        logger.warning("The groups of the last admin give the role %s; kept as admin.", role)
