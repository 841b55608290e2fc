"""Make, find and revoke a personal token, and start the job that a call asks for."""

from __future__ import annotations

import hashlib
import secrets
import string
import uuid
import zlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.crypto import salted_hmac
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.datasets.library import add_url
from finetune_portal.datasets.models import Dataset
from finetune_portal.gateway.models import PersonalToken
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import prices_of, start_all
from finetune_portal.projects.models import Project

PREFIX = "ftp_"
RANDOM = 32
ALPHABET = string.ascii_letters + string.digits
LAST_USED_PRECISION = timedelta(minutes=1)


def new_token(
    *, owner: User, name: str, rights: Iterable[str], days: int | None
) -> tuple[PersonalToken, str]:
    """The row and the token itself, which cannot be shown again."""
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM))
    text = f"{PREFIX}{random}{_checksum(random)}"
    expires_at = now() + timedelta(days=days) if days else None
    with transaction.atomic():
        token = PersonalToken.objects.create(
            owner=owner,
            name=name,
            token_hash=_hash(text),
            last_four=text[-4:],
            rights=sorted(rights),
            expires_at=expires_at,
        )
        until = f"{expires_at:%Y-%m-%d}" if expires_at else "never"
        record(owner, "token.make", token, name=name, rights=" ".join(token.rights), expires=until)
    return token, text


def find_token(text: str) -> PersonalToken | None:
    """The token with this text, valid or not. A mistyped one never reaches the database."""
    random = text.removeprefix(PREFIX)[:RANDOM]
    if text != f"{PREFIX}{random}{_checksum(random)}":
        return None
    return PersonalToken.objects.select_related("owner").filter(token_hash=_hash(text)).first()


def update_last_used(token: PersonalToken) -> None:
    """Store when the token was last used, to the minute."""
    before = now() - LAST_USED_PRECISION
    if token.last_used_at is None or token.last_used_at < before:
        rows = PersonalToken.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=before), pk=token.pk)
        rows.update(last_used_at=now())


def revoke(token: PersonalToken, *, actor: User | None) -> None:
    with transaction.atomic():
        if PersonalToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now()):
            record(actor, "token.revoke", token, name=token.name, owner=token.owner.email)


def revoke_all() -> None:
    """Revoke every token, as after a restore: those that were revoked since the backup are back with it."""
    for token in PersonalToken.objects.filter(revoked_at=None).select_related("owner"):
        revoke(token, actor=None)


def form_key_for(owner: User, idempotency_key: str) -> uuid.UUID:
    """The same key of the same person means the same job; without a key each call is a new job."""
    if not idempotency_key:
        return uuid.uuid4()
    digest = salted_hmac("gateway.idempotency", f"{owner.pk} {idempotency_key}", algorithm="sha256").digest()
    return uuid.UUID(bytes=digest[:16])


def submit(
    *,
    actor: User,
    dataset: Dataset | None,
    source_url: str,
    key: uuid.UUID,
    training: dict[str, Any],
    project: Project | None = None,
) -> Job:
    """Start one job, with a dataset of the library or one at a public URL. All of it or nothing."""
    prices = prices_of(dataset, [training])
    with transaction.atomic():
        dataset = dataset or add_url(source_url, owner=actor)
        jobs = start_all(
            actor=actor,
            dataset=dataset,
            form_key=key,
            parameter_sets=[training],
            project=project,
            prices=prices,
        )
        return jobs[0]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _checksum(random: str) -> str:
    """Lets a secret scanner tell a token from text that looks like one."""
    return f"{zlib.crc32(random.encode('utf-8', 'replace')):08x}"
