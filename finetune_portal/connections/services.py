"""Add, test, rename and deactivate connections, change their keys, and choose the default."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import admin_key, closing, declared
from finetune_portal.connections.client import adapter_for_user_action
from finetune_portal.connections.models import (
    SEGMIND,
    Connection,
    Kind,
    built_in_kind,
    providers_with_key,
)
from finetune_portal.providers.contract import Capability, Money
from finetune_portal.providers.errors import AdminKeyRejectedError, CallError
from finetune_portal.providers.registry import PROVIDERS
from finetune_portal.web.encryption import KeyLostError, decrypt, encrypt
from finetune_portal.web.errors import ActionError

NAMES = {Kind.ENGINE: "Local engine", Kind.ENVIRONMENT: "Segmind"}


def built_in() -> Connection:
    """The connection of every installation. Makes it, and one for each key of another provider."""
    kind = built_in_kind()
    built_in, _ = Connection.objects.get_or_create(
        kind=kind, provider=SEGMIND, defaults={"name": NAMES[kind]}
    )
    for provider in providers_with_key():
        fields = {"name": PROVIDERS[provider].title}
        Connection.objects.get_or_create(kind=Kind.ENVIRONMENT, provider=provider, defaults=fields)
    return built_in


def default() -> Connection:
    """Where a job goes when nobody chooses a connection."""
    of_every_installation = Q(kind=built_in_kind(), provider=SEGMIND)
    candidates = Connection.objects.in_use().filter(Q(is_default=True) | of_every_installation)
    return candidates.order_by("-is_default", "pk").first() or built_in()


def add(*, name: str, key: str, actor: User, base_url: str = "", provider: str = SEGMIND) -> Connection:
    """Add an account. `base_url` is that of a server that speaks Segmind's API, and empty elsewhere."""
    with transaction.atomic():
        added = Connection.objects.create(
            name=name, provider=provider, base_url=base_url, encrypted_key=encrypt(key), last_four=key[-4:]
        )
        record(actor, "connection.add", added, name=name, address=added.address, key=f"…{key[-4:]}")
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


def change_admin_key(connection: Connection, key: str, *, actor: User) -> None:
    """Set the key that is only asked for what was paid, or remove it by an empty one."""
    if not (connection.is_own and connection.takes_admin_key):
        raise ActionError("This connection takes no admin key from this page.")
    fields = {"encrypted_admin_key": encrypt(key) if key else "", "admin_last_four": key[-4:]}
    with transaction.atomic():
        untried = {"admin_key_failure": "", "admin_key_due_at": now() if key else None, "due_at": now()}
        due = {"capabilities_due_at": now(), "updated_at": now()}
        Connection.objects.filter(pk=connection.pk).update(**fields, **untried, **due)
        before = f"…{connection.admin_last_four}" if connection.admin_last_four else "none"
        after = f"…{key[-4:]}" if key else "none"
        record(actor, "connection.admin-key", connection, before=before, after=after)


def is_admin_key_lost(connection: Connection) -> bool:
    """Whether there is an admin key that cannot be decrypted any more."""
    try:
        return bool(connection.encrypted_admin_key) and not decrypt(connection.encrypted_admin_key)
    except KeyLostError:
        return True


def rename(connection: Connection, name: str, *, actor: User) -> None:
    with transaction.atomic():
        Connection.objects.filter(pk=connection.pk).update(name=name, updated_at=now())
        record(actor, "connection.rename", connection, before=connection.name, after=name)


def make_default(connection: Connection, *, actor: User) -> None:
    with transaction.atomic():
        _lock()
        connection.refresh_from_db(fields=["disabled_at"])
        if connection.is_disabled:
            raise ActionError("This connection is deactivated. Activate it first.")
        before = default()
        Connection.objects.filter(is_default=True).update(is_default=False)
        Connection.objects.filter(pk=connection.pk).update(is_default=True, updated_at=now())
        record(actor, "connection.default", connection, before=before.name, after=connection.name)


def switch(connection: Connection, *, on: bool, actor: User) -> None:
    """Off: its jobs run on at the provider, but the portal no longer asks, and nobody can choose it."""
    with transaction.atomic():
        _lock()
        if not on and connection == default():
            raise ActionError("This connection is the default. Make another one the default first.")
        disabled_at = None if on else now()
        Connection.objects.filter(pk=connection.pk).update(
            disabled_at=disabled_at, due_at=now(), updated_at=now()
        )
        record(actor, "connection.on" if on else "connection.off", connection, name=connection.name)


def _lock() -> None:
    """Let one at a time choose the default connection, in a transaction."""
    list(Connection.objects.select_for_update().order_by("pk").values_list("pk"))


def test(connection: Connection, *, actor: User) -> Money | None:
    """Prove the keys by calls that are free of charge. Returns the balance where they name it.

    Whether the provider takes new jobs stays as it was: no call but a paid one tells.
    """
    asked_at, balance = now(), None
    try:
        with adapter_for_user_action(connection) as adapter:
            if declared.shows_balance(connection):
                balance = adapter.balance()
            else:
                adapter.check_key()
    except CallError as exc:
        raise ActionError(exc.message, exc.detail) from None
    fields = {"credits": float(balance.amount), "credits_at": asked_at} if balance else {}
    with transaction.atomic():
        _mark_healthy(connection, **fields)
        record(actor, "connection.test", connection)
    return balance if declared.shows_balance(connection) else _balance_by_admin_key(connection)


def _balance_by_admin_key(connection: Connection) -> Money | None:
    """Prove the admin key, too; None where there is none."""
    try:
        with adapter_for_user_action(connection) as adapter:
            if Capability.BALANCE not in adapter.capabilities:
                return None
            balance = adapter.balance()
    except CallError as exc:
        if isinstance(exc, AdminKeyRejectedError):
            admin_key.note_refused(connection, exc)
        raise ActionError(f"The API key works, but not the admin key. {exc.message}", exc.detail) from None
    admin_key.note_accepted(connection)
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
