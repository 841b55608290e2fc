"""Add, test, rename and deactivate connections, change their keys, and choose the default."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import closing
from finetune_portal.connections.client import client_for_user_action
from finetune_portal.connections.models import Connection, Kind, built_in_kind
from finetune_portal.providers.segmind import SegmindError
from finetune_portal.web.encryption import encrypt
from finetune_portal.web.errors import ActionError

NAMES = {Kind.ENGINE: "Local engine", Kind.ENVIRONMENT: "Segmind"}


def built_in() -> Connection:
    kind = built_in_kind()
    return Connection.objects.get_or_create(kind=kind, defaults={"name": NAMES[kind]})[0]


def default() -> Connection:
    """Where a job goes when nobody chooses a connection."""
    candidates = Connection.objects.in_use().filter(Q(is_default=True) | Q(kind=built_in_kind()))
    return candidates.order_by("-is_default", "pk").first() or built_in()


def add(*, name: str, base_url: str, key: str, actor: User) -> Connection:
    with transaction.atomic():
        added = Connection.objects.create(
            name=name, base_url=base_url, encrypted_key=encrypt(key), last_four=key[-4:]
        )
        record(actor, "connection.add", added, name=name, address=base_url, key=f"…{key[-4:]}")
    return added


def change_key(connection: Connection, key: str, *, actor: User) -> None:
    """The next call uses the new key, and waiting jobs continue."""
    if connection.key_from_settings:
        raise ActionError("This key comes from the environment. Change it there.")
    with transaction.atomic():
        _mark_healthy(connection, encrypted_key=encrypt(key), last_four=key[-4:])
        closing.probe_now(connection)  # another account may be open
        before = f"…{connection.last_four}" if connection.last_four else "none"
        record(actor, "connection.key", connection, before=before, after=f"…{key[-4:]}")


def rename(connection: Connection, name: str, *, actor: User) -> None:
    with transaction.atomic():
        Connection.objects.filter(pk=connection.pk).update(name=name, updated_at=now())
        record(actor, "connection.rename", connection, before=connection.name, after=name)


def make_default(connection: Connection, *, actor: User) -> None:
    if connection.is_disabled:
        raise ActionError("This connection is deactivated. Activate it first.")
    before = default()
    with transaction.atomic():
        Connection.objects.filter(is_default=True).update(is_default=False)
        Connection.objects.filter(pk=connection.pk).update(is_default=True, updated_at=now())
        record(actor, "connection.default", connection, before=before.name, after=connection.name)


def switch(connection: Connection, *, on: bool, actor: User) -> None:
    """Off: its jobs run on at the provider, but the portal no longer asks, and nobody can choose it."""
    if not on and connection == default():
        raise ActionError("This connection is the default. Make another one the default first.")
    with transaction.atomic():
        disabled_at = None if on else now()
        Connection.objects.filter(pk=connection.pk).update(
            disabled_at=disabled_at, due_at=now(), updated_at=now()
        )
        record(actor, "connection.on" if on else "connection.off", connection, name=connection.name)


def test(connection: Connection, *, actor: User) -> float:
    """Ask for the balance, which is free of charge and proves the key. Returns the balance.

    Whether the provider takes new jobs stays as it was: no call but a paid one tells.
    """
    asked_at = now()
    try:
        with client_for_user_action(connection) as client:
            balance = client.credits().credits
    except SegmindError as exc:
        raise ActionError(exc.message, exc.detail) from None
    with transaction.atomic():
        _mark_healthy(connection, credits=balance, credits_at=asked_at)
        record(actor, "connection.test", connection)
    return balance


def note_other_payment(connection: Connection) -> None:
    """Note that something else than a job is being paid for, so that no job's cost includes it."""
    Connection.objects.filter(pk=connection.pk).update(other_payment_at=now())


def _mark_healthy(connection: Connection, **fields: object) -> None:
    """Clear every known problem of key and network, so that the worker asks at once."""
    healthy = {
        "is_key_rejected": False,
        "failing_since": None,
        "failure": "",
        "attempts": 0,
    }
    Connection.objects.filter(pk=connection.pk).update(**healthy, **fields, due_at=now(), updated_at=now())
