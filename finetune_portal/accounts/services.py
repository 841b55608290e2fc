"""How people come in: the first admin from a one-time link or from the environment."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from finetune_portal import env
from finetune_portal.accounts.models import Invitation, User
from finetune_portal.audit.services import record

LINK_LIFE = timedelta(hours=24)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def ensure_first_admin() -> None:
    """Make the admin that PORTAL_ADMIN_EMAIL and PORTAL_ADMIN_PASSWORD[_FILE] name, if there is none."""
    email, password = env.text("PORTAL_ADMIN_EMAIL"), env.secret("PORTAL_ADMIN_PASSWORD")
    if email and password and not User.objects.exists():
        name = email.partition("@")[0]
        user = User.objects.create_user(email, password, name=name, role=User.Role.ADMIN)
        record(user, "account.created", user, role=user.role, by="environment")


def first_admin_link() -> str | None:
    """A fresh one-time link while nobody has an account; older ones stop working."""
    ensure_first_admin()
    if User.objects.exists():
        return None
    token = secrets.token_urlsafe(24)
    with transaction.atomic():
        Invitation.objects.filter(invited_by=None).delete()
        Invitation.objects.create(token_hash=_hash(token), role=User.Role.ADMIN, expires=now() + LINK_LIFE)
    return settings.PORTAL_URL + reverse("accounts:setup", args=[token])


def open_invitation(token: str) -> Invitation | None:
    """The invitation behind a link, or None when it is unknown, used or too old."""
    found = Invitation.objects.filter(token_hash=_hash(token)).first()
    return found if found and found.is_open else None


def accept(invitation: Invitation, *, email: str, name: str, password: str) -> User | None:
    """Make the account and burn the link; None when someone else was quicker."""
    with transaction.atomic():
        burnt, _ = Invitation.objects.filter(pk=invitation.pk).delete()
        if not burnt:
            return None
        user = User.objects.create_user(email, password, name=name, role=invitation.role)
        record(user, "account.created", user, role=user.role, by="link")
    return user
