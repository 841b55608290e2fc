"""`manage.py reseal`: seal everything anew with the first of the sealing keys, so that the others can go."""

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

WHERE: tuple[tuple[type[Model], str], ...] = (
    (Connection, "encrypted_key"),
    (Channel, "encrypted_address"),
    (Authenticator, "data"),
)
INSIDE = ("secret", "seed")  # of a second factor's data


class Command(BaseCommand):
    """Can be broken off and run again. Ends with 1 if something cannot be opened any more."""

    help = "Seal API keys, chat addresses and second factors anew with the first sealing key."

    def handle(self, *args: Any, **options: Any) -> None:
        done, lost = 0, []
        for row, name, before in _sealed():
            try:
                after = {**before, **_anew(before)} if isinstance(before, dict) else encryption.rotate(before)
            except encryption.KeyLostError:
                lost.append(f"{row._meta.verbose_name} {row.pk}")
                continue
            # Only if nobody gave it another value meanwhile.
            rows = type(row)._default_manager.filter(pk=row.pk, **{name: before})
            done += rows.update(**{name: after})
        self.stdout.write(f"{done} sealed anew, {len(lost)} cannot be opened.")
        for each in lost:
            self.stdout.write(f"  {each}")
        sys.exit(1 if lost else 0)


def _sealed() -> Iterator[tuple[Model, str, Any]]:
    for model, name in WHERE:
        for row in model._default_manager.order_by("pk"):
            if value := getattr(row, name):
                yield row, name, value


def _anew(data: dict[str, Any]) -> dict[str, str]:
    return {name: encryption.rotate(data[name]) for name in INSIDE if name in data}
