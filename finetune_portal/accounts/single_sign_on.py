"""Decide who may sign in by OpenID Connect, as whom, in which role. provider.py has checked the claims."""

from __future__ import annotations

import logging
from secrets import compare_digest, token_urlsafe
from typing import Any

from allauth.socialaccount.adapter import get_adapter
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.timezone import now

from finetune_portal.accounts import services
from finetune_portal.accounts.models import Invitation, User
from finetune_portal.audit.services import record

logger = logging.getLogger(__name__)

OTHERS_ENDED = (
    "You sign in with {name} from now on. The password of this account, its second factors, other sessions, "
    "personal tokens and notification channels have ended: nobody had confirmed its e-mail, or it got more "
    "rights."
)
JUST_MADE = "An account with your e-mail was made at this moment. Sign in again."
TOO_MANY_GROUPS = "You are in more groups than a sign-in can carry, so the portal did not learn them."


class SignInRefusedError(Exception):
    """The sign-in is refused. The text says why, for the person who signs in."""


def is_enabled() -> bool:
    return bool(settings.OIDC_ISSUER)


def authorization_url(request: HttpRequest, onward: str, invitation: str) -> str:
    """Return the URL at the identity provider, with state, nonce and code challenge.

    Raises OSError when the identity provider does not answer.
    """
    nonce = token_urlsafe(16)
    invited = services.open_invitation(invitation) if invitation else None
    provider = get_adapter().get_provider(request, "oidc")
    answer = provider.redirect(
        request,
        process="connect" if request.user.is_authenticated else "login",
        next_url=onward,
        auth_params={"nonce": nonce},
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
    if sociallogin.state["process"] == "connect":
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
    ended = OTHERS_ENDED.format(name=settings.OIDC_NAME) if ends_others else ""
    return f"{ended} {'' if has_all_groups else _too_many_groups(person)}".strip()


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
