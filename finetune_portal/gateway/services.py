"""The actions: make, recognise and revoke a token, and start the training that a call asks for."""

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
from finetune_portal.gateway.models import AccessToken
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import start_all

PREFIX = "ftp_"
RANDOM = 32
ALPHABET = string.ascii_letters + string.digits
USED_EVERY = timedelta(minutes=1)


def new_token(*, owner: User, name: str, rights: Iterable[str], days: int | None) -> tuple[AccessToken, str]:
    """The row and the token itself, which nobody can be told again."""
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM))
    text = f"{PREFIX}{random}{_checksum(random)}"
    expires = now() + timedelta(days=days) if days else None
    with transaction.atomic():
        token = AccessToken.objects.create(
            owner=owner,
            name=name,
            token_hash=_hash(text),
            last_four=text[-4:],
            rights=sorted(rights),
            expires=expires,
        )
        until = f"{expires:%Y-%m-%d}" if expires else "never"
        record(owner, "token.make", token, name=name, rights=" ".join(token.rights), expires=until)
    return token, text


def recognise(text: str) -> AccessToken | None:
    """The token that was sent, alive or not. One that is mistyped never gets to the database."""
    random = text.removeprefix(PREFIX)[:RANDOM]
    if text != f"{PREFIX}{random}{_checksum(random)}":
        return None
    return AccessToken.objects.select_related("owner").filter(token_hash=_hash(text)).first()


def note_use(token: AccessToken) -> None:
    """When it was used last, to the minute."""
    before = now() - USED_EVERY
    if token.last_used is None or token.last_used < before:
        rows = AccessToken.objects.filter(Q(last_used=None) | Q(last_used__lt=before), pk=token.pk)
        rows.update(last_used=now())


def revoke(token: AccessToken, *, actor: User) -> None:
    with transaction.atomic():
        if AccessToken.objects.filter(pk=token.pk, revoked=None).update(revoked=now()):
            record(actor, "token.revoke", token, name=token.name, owner=token.owner.email)


def form_key(owner: User, idempotency_key: str) -> uuid.UUID:
    """The same key of the same person names the same job; without one, each call is a new job."""
    if not idempotency_key:
        return uuid.uuid4()
    digest = salted_hmac("gateway.idempotency", f"{owner.pk} {idempotency_key}", algorithm="sha256").digest()
    return uuid.UUID(bytes=digest[:16])


def submit(
    *, actor: User, dataset: Dataset | None, source_url: str, key: uuid.UUID, training: dict[str, Any]
) -> Job:
    """Start one training, with a dataset of the library or one at a public address. All of it or nothing."""
    with transaction.atomic():
        chosen = dataset or add_url(source_url, owner=actor)
        return start_all(actor=actor, dataset=chosen, form_key=key, parameter_sets=[training])[0]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _checksum(random: str) -> str:
    """Lets a scanner for secrets tell a token from words that look like one."""
    return f"{zlib.crc32(random.encode('utf-8', 'replace')):08x}"
