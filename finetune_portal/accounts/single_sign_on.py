"""Who may come in by OpenID Connect, as whom and in which role. provider.py has checked the claims."""

from __future__ import annotations

import logging
from secrets import compare_digest, token_urlsafe
from typing import Any

from allauth.socialaccount.adapter import get_adapter
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils.timezone import now

from finetune_portal.accounts import services
from finetune_portal.accounts.models import Invitation, User
from finetune_portal.audit.services import record

logger = logging.getLogger(__name__)


class Refused(Exception):
    """The text says why, for the person at the door."""


def is_on() -> bool:
    return bool(settings.OIDC_ISSUER)


def address(request: HttpRequest, onward: str, invitation: str) -> str:
    """Where the browser goes, with state, nonce and code challenge. Raises OSError when nobody answers."""
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


def admit(request: HttpRequest, sociallogin: Any) -> None:
    """Leave `sociallogin` with the person who comes in, or raise Refused."""
    told = sociallogin.account.extra_data
    if not compare_digest(sociallogin.nonce, str(sociallogin.state.get("nonce"))):
        raise Refused("This sign-in does not belong to this browser. Start it again from the sign-in page.")
    known = sociallogin.user if sociallogin.is_existing else None
    if sociallogin.state["process"] == "connect":
        if known and known != request.user:
            raise Refused(
                f"Someone else on the team already signs in with this {settings.OIDC_NAME} account."
            )
        return
    role = _role(told["groups"])
    if known is None:
        known = _same_email(told) or _newcomer(told, role, sociallogin.state.get("invitation"))
        sociallogin.connect(request, known)
    if not known.is_active:
        raise Refused("This account is switched off. Ask an admin.")
    if role:
        _bring_in_line(known, role)


def _role(groups: list[str]) -> str | None:
    """The highest role among the groups; None where the portal's own roles hold. Raises Refused."""
    if not any(settings.OIDC_GROUPS.values()):
        return None
    for role, named in settings.OIDC_GROUPS.items():
        if set(named) & set(groups):
            return str(role)
    if settings.OIDC_ADMIT_ALL:
        return User.Role.VIEWER
    raise Refused(
        f"You are in none of the groups that may use this portal. Ask those who run {settings.OIDC_NAME}."
    )


def _same_email(told: dict[str, Any]) -> User | None:
    """The account with this e-mail, where the operator trusts the provider with that. Raises Refused."""
    found = User.objects.filter(email=told["email"]).first() if told["email"] else None
    if found and not (settings.OIDC_LINK_BY_EMAIL and told["email_verified"]):
        raise Refused(
            f"There is an account for {found.email} already. Sign in with its password, "
            f"then connect {settings.OIDC_NAME} on your profile."
        )
    return found


def _newcomer(told: dict[str, Any], role: str | None, invitation_id: int | None) -> User:
    """Raises Refused."""
    if not told["email"]:
        raise Refused(
            f"{settings.OIDC_NAME} did not tell your e-mail. Ask an admin: the scope email is missing."
        )
    name = (told["name"] or told["email"].partition("@")[0])[:80]
    invitation = Invitation.objects.filter(pk=invitation_id or 0, expires__gt=now()).first()
    if invitation:
        user = services.accept(invitation, email=told["email"], name=name, password=None)
        if user:
            return user
    if role is None and not settings.OIDC_ADMIT_ALL:
        raise Refused("You are not on the team yet. Ask an admin for an invitation.")
    with transaction.atomic():
        user = User.objects.create_user(told["email"], None, name=name, role=role or User.Role.VIEWER)
        record(user, "account.created", user, role=user.role, by=settings.OIDC_NAME)
    return user


def _bring_in_line(person: User, role: str) -> None:
    try:
        services.set_role(person, role, actor=None)
    except services.LastAdmin:
        logger.warning("The groups of the last admin give the role %s; kept as admin.", role)
