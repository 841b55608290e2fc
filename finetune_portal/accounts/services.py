"""Invite people, create accounts, change roles and access. Every change is written to the audit record."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from urllib.parse import urljoin

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.dispatch import Signal
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.timezone import now

from finetune_portal import env
from finetune_portal.accounts import emails, sessions
from finetune_portal.accounts.models import Invitation, User
from finetune_portal.audit.services import record

left_team = Signal()  # `person` was deactivated, in the transaction of it
other_ways_in_ended = Signal()  # `person`: apps above this one end what they have of that person
FIRST_LINK_LIFETIME = timedelta(hours=24)
INVITATION_LIFETIME = timedelta(days=7)


class LastAdminError(Exception):
    """The change would leave the portal without an admin."""


class EmailTakenError(Exception):
    """Someone has an account with this e-mail."""


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _new_invitation(role: str, lifetime: timedelta, **fields: object) -> tuple[Invitation, str]:
    """Return the invitation and its link, which cannot be shown again."""
    token = secrets.token_urlsafe(24)
    row = Invitation.objects.create(token_hash=_hash(token), role=role, expires_at=now() + lifetime, **fields)
    return row, urljoin(settings.PORTAL_URL, reverse("accounts:setup", args=[token]))


def ensure_first_admin() -> None:
    """Create the admin of PORTAL_ADMIN_EMAIL and PORTAL_ADMIN_PASSWORD[_FILE] while there is no account."""
    email, password = env.text("PORTAL_ADMIN_EMAIL"), env.secret("PORTAL_ADMIN_PASSWORD")
    if email and password and not User.objects.exists():
        name = email.partition("@")[0]
        user = User.objects.create_user(email, password, name=name, role=User.Role.ADMIN)
        record(user, "account.created", user, role=user.role, by="environment")


def first_admin_link() -> str | None:
    """Return a new one-time link while there is no account, else None. Older links stop working."""
    ensure_first_admin()
    with transaction.atomic():
        Invitation.objects.filter(invited_by=None).delete()
        if User.objects.exists():
            return None
        _, link = _new_invitation(User.Role.ADMIN, FIRST_LINK_LIFETIME)
    return link


def invite(role: str, *, email: str, actor: User) -> str:
    """Return a one-time link for one more person. It cannot be shown again."""
    with transaction.atomic():
        Invitation.objects.filter(expires_at__lt=now()).delete()
        invitation, link = _new_invitation(role, INVITATION_LIFETIME, email=email, invited_by=actor)
        record(actor, "invitation.made", invitation, role=role, email=email)
    return link


def link_for_mail(link: str) -> str:
    """Return an invitation's link for its e-mail alone: who uses it reads that mailbox.

    The link that an admin sees and may send by hand proves no address.
    """
    token = link.rstrip("/").rpartition("/")[2]
    return f"{link}?mailed={_mail_proof(token)}"


def is_from_mail(token: str, proof: str) -> bool:
    return constant_time_compare(proof, _mail_proof(token))


def _mail_proof(token: str) -> str:
    return salted_hmac("finetune_portal.accounts.invitation", token, algorithm="sha256").hexdigest()


def revoke(invitation: Invitation, *, actor: User | None) -> None:
    with transaction.atomic():
        record(actor, "invitation.revoked", invitation, role=invitation.role, email=invitation.email)
        invitation.delete()


def _revoke_invitations(person: User, *, actor: User | None) -> None:
    """Revoke the invitations of a former admin, who could use one to come back."""
    for invitation in Invitation.objects.filter(invited_by=person):
        revoke(invitation, actor=actor)


def open_invitation(token: str) -> Invitation | None:
    """Return the invitation of a link, or None when it is unknown, used or expired."""
    invitation = Invitation.objects.filter(token_hash=_hash(token)).first()
    return invitation if invitation and invitation.is_open else None


def accept(
    invitation: Invitation, *, email: str, name: str, password: str | None, is_email_verified: bool = False
) -> User | None:
    """Create the account and use up the link; None when someone else was quicker.

    Raises EmailTakenError, and the link stays good, when the e-mail got an account in the meantime.
    """
    try:
        with transaction.atomic():
            deleted, _ = Invitation.objects.filter(pk=invitation.pk).delete()
            if not deleted:
                return None
            user = User.objects.create_user(
                email, password, name=name, role=invitation.role, is_email_verified=is_email_verified
            )
            record(user, "account.created", user, role=user.role, by="link", invitation=invitation.pk)
    except IntegrityError:
        raise EmailTakenError from None
    return user


def set_role(person: User, role: str, *, actor: User | None) -> None:
    """Change a role from the next request of that person on. Raises LastAdminError."""
    with transaction.atomic():
        if role != User.Role.ADMIN:
            _keep_an_admin(person)
        changed = User.objects.filter(pk=person.pk, role=person.role).exclude(role=role).update(role=role)
        if changed:
            record(actor, "account.role", person, before=person.role, after=role)
            if role != User.Role.ADMIN:
                _revoke_invitations(person, actor=actor)


def deactivate(person: User, *, actor: User | None) -> None:
    """End all sessions at once and refuse sign-ins; what the person made stays. Raises LastAdminError."""
    with transaction.atomic():
        _keep_an_admin(person)
        if User.objects.filter(pk=person.pk, is_active=True).update(is_active=False):
            ended = sessions.end_all(person)
            record(actor, "account.deactivated", person, before="active", after="inactive", sessions=ended)
            _revoke_invitations(person, actor=actor)
            left_team.send(sender=User, person=person)


def keep_identity_provider_only(person: User, *, subject: str) -> None:
    """End every way in but the identity provider's `subject`: sessions, password, factors, tokens, channels.

    For an account that somebody else may have made under this person's e-mail, or that is to get more rights.
    """
    with transaction.atomic():
        ended = sessions.end_all(person)
        Authenticator.objects.filter(user=person).delete()
        SocialAccount.objects.filter(user=person).exclude(uid=subject).delete()
        person.set_unusable_password()
        person.save(update_fields=["password"])
        other_ways_in_ended.send(sender=User, person=person)
        record(None, "account.other_ways_ended", person, sessions=ended, by=settings.OIDC_NAME)


def end_open_access() -> None:
    """End all sessions, invitations and links to set a password.

    For a restored database: what had ended since the backup was made is back with it.
    """
    with transaction.atomic():
        for invitation in Invitation.objects.all():
            revoke(invitation, actor=None)
        for person in User.objects.all():
            record(None, "account.signed_out", person, sessions=sessions.end_all(person), by="restore")
        Session.objects.all().delete()
        User.objects.update(last_login=now())  # a link to set a password holds until the next sign-in


def reactivate(person: User, *, actor: User) -> None:
    with transaction.atomic():
        if User.objects.filter(pk=person.pk, is_active=False).update(is_active=True):
            record(actor, "account.reactivated", person, before="inactive", after="active")


def _keep_an_admin(person: User) -> None:
    """Raise LastAdminError for the only admin. Locks the admins' rows, so that demotions take turns."""
    admins = User.objects.select_for_update().filter(role=User.Role.ADMIN, is_active=True)
    if list(admins.order_by("pk").values_list("pk", flat=True)) == [person.pk]:
        raise LastAdminError


def password_link(person: User, *, actor: User | None) -> str:
    """Return a link to set a new password. It works once, for a day, and not after a sign-in."""
    record(actor, "account.password_link", person)
    key = urlsafe_base64_encode(force_bytes(person.pk))
    path = reverse("accounts:new-password", args=[key, default_token_generator.make_token(person)])
    return urljoin(settings.PORTAL_URL, path)


def send_password_link(email: str) -> None:
    """Send a link to the active user of this e-mail who signs in by password; else do nothing."""
    person = User.objects.filter(email=email, is_active=True).first()
    if person and person.has_usable_password():
        link = password_link(person, actor=None)
        emails.send("A new password", emails.RESET_LINK.format(link=link), to=email)


def rename(person: User, name: str) -> None:
    with transaction.atomic():
        record(person, "account.name", person, before=person.name, after=name)
        User.objects.filter(pk=person.pk).update(name=name)


def remove_second_factor(person: User, *, actor: User) -> None:
    """Remove all second factors of a person who lost them; the next sign-in asks for the password alone."""
    with transaction.atomic():
        removed, _ = Authenticator.objects.filter(user=person).delete()
        ended = sessions.end_all(person)
        record(actor, "second_factor.reset", person, removed=removed, sessions=ended)
