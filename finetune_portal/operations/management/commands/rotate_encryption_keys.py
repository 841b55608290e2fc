"""`manage.py rotate_encryption_keys`: encrypt everything with the first key, so that the others can go."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand
from django.db.models import Model

from finetune_portal.connections.models import Connection
from finetune_portal.notifications.models import Channel
from finetune_portal.web import encryption
from finetune_portal.web.checks import ENVIRONMENT

ENCRYPTED: tuple[tuple[type[Model], str], ...] = (
    (Connection, "encrypted_key"),
    (Connection, "encrypted_admin_key"),
    (Channel, "encrypted_address"),
    (Authenticator, "data"),
)
ENCRYPTED_DATA = ("secret", "seed")  # keys of Authenticator.data


class Command(BaseCommand):
    """Can be interrupted and run again. Ends with status 1 if something cannot be decrypted any more."""

    help = "Encrypt API keys, notification addresses and second factors again with the first key."
    requires_system_checks = [ENVIRONMENT]

    def handle(self, *args: Any, **options: Any) -> None:
        done, lost = 0, []
        for row, field, before in _values():
            try:
                after = _rotate(before) if isinstance(before, dict) else encryption.rotate(before)
            except encryption.KeyLostError:
                lost.append(f"{row._meta.verbose_name} {row.pk}")
                continue
            # Only if nobody changed the value meanwhile.
            rows = type(row)._default_manager.filter(pk=row.pk, **{field: before})
            done += rows.update(**{field: after})
        self.stdout.write(f"{done} encrypted again, {len(lost)} cannot be decrypted.")
        for each in lost:
            self.stdout.write(f"  {each}")
        sys.exit(1 if lost else 0)


def _values() -> Iterator[tuple[Model, str, Any]]:
    for model, field in ENCRYPTED:
        for row in model._default_manager.order_by("pk"):
            if value := getattr(row, field):
                yield row, field, value


def _rotate(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, **{name: encryption.rotate(data[name]) for name in ENCRYPTED_DATA if name in data}}
